// `sealdex dev key`: actions of the owner of a tenant's KMS key, on the running local KMS of this directory.
import { Command } from 'commander';
import { checkName } from '../../runtime/names.ts';
import { FileFormatError, MissingPrerequisiteError, UsageError } from '../failure.ts';
import { TENANT } from '../option-texts.ts';
import { printLine, printNotice } from '../terminal.ts';
import { ENV, readEnv } from './env-file.ts';
import { callLocalKms, isLoopback, RejectedCall } from './local-kms.ts';
import { loadLocalAws } from './local-package.ts';

/** A tenant's key, and calls to the local KMS about it. */
interface OwnedKey {
  readonly state: string;
  readonly call: (operation: string, input?: object) => Promise<Readonly<Record<string, unknown>>>;
}

interface Verb {
  readonly name: string;
  readonly description: string;
  /** What the key is or does after the call, as text: `is disabled`. */
  readonly outcome: string;
  readonly change: (key: OwnedKey) => Promise<void>;
}

const SID = 'sealdex dev key deny';

const denyStatement = (role: string): object => ({
  Sid: SID,
  Effect: 'Deny',
  Principal: { AWS: role },
  Action: ['kms:GenerateDataKey*', 'kms:Encrypt', 'kms:Decrypt', 'kms:ReEncrypt*', 'kms:DescribeKey'],
  Resource: '*',
});

interface KeyPolicy {
  readonly Statement: readonly { readonly Sid?: string }[];
}

/** Changes only the statement of this command in the key policy. */
async function changePolicy(
  { call }: OwnedKey,
  change: (others: readonly object[]) => readonly object[],
): Promise<void> {
  const { Policy } = await call('GetKeyPolicy');
  const policy = JSON.parse(String(Policy)) as KeyPolicy;
  const others = [policy.Statement].flat().filter(({ Sid }) => Sid !== SID);
  await call('PutKeyPolicy', { Policy: JSON.stringify({ ...policy, Statement: change(others) }) });
}

const VERBS: readonly Verb[] = [
  {
    name: 'disable',
    description: "disable a tenant's KMS key",
    outcome: 'is disabled',
    change: async ({ state, call }) => {
      await call(state === 'PendingDeletion' ? 'CancelKeyDeletion' : 'DisableKey');
    },
  },
  {
    name: 'schedule-deletion',
    description: "schedule the deletion of a tenant's KMS key",
    outcome: 'is pending deletion',
    change: async ({ state, call }) => {
      if (state !== 'PendingDeletion') await call('ScheduleKeyDeletion');
    },
  },
  {
    name: 'deny',
    description: "deny sealdex the use of a tenant's KMS key by the key policy",
    outcome: 'denies sealdex its use',
    change: async (key) => {
      const { LOCAL_ROLE } = await loadLocalAws();
      await changePolicy(key, (others) => [...others, denyStatement(LOCAL_ROLE)]);
    },
  },
  {
    name: 'enable',
    description: "enable a tenant's KMS key: undo disable, schedule-deletion and deny",
    outcome: 'is enabled',
    change: async (key) => {
      if (key.state === 'PendingDeletion') await key.call('CancelKeyDeletion');
      await changePolicy(key, (others) => others);
      await key.call('EnableKey');
    },
  },
];

const HELP = `
Acts on the local KMS of the sealdex dev that runs in this directory, as the
tenant would in its AWS account. Never calls AWS.

Exit codes:
  0   done
  65  ${ENV} does not name local services
  69  no sealdex dev runs in this directory`;

export function devKeyCommand(): Command {
  const command = new Command('key').description("disable or deny a tenant's local KMS key, and enable it again");
  for (const verb of VERBS)
    command.addCommand(
      new Command(verb.name)
        .description(verb.description)
        .argument('<tenant>', TENANT)
        .addHelpText('after', `${HELP}\n\nExample:\n  sealdex dev key ${verb.name} acme`)
        .action((tenant: string) => run(verb, checkName(tenant, 'tenant'))),
    );
  return command.addHelpText(
    'after',
    `${HELP}

Examples:
  sealdex dev key disable acme
  sealdex dev key enable acme`,
  );
}

const notRunning = (): Error =>
  new MissingPrerequisiteError(
    'No sealdex dev is running in this directory. Start it in another terminal: sealdex dev',
  );

async function run({ name, outcome, change }: Verb, tenant: string): Promise<void> {
  const settings = readEnv();
  if (!settings) throw notRunning();
  const { AWS_ENDPOINT_URL_KMS: endpoint = '', AWS_ENDPOINT_URL_S3: s3 = '' } = settings;
  if (!isLoopback(endpoint) || !isLoopback(s3))
    throw new FileFormatError(ENV, 'does not name local services. Delete it, and start sealdex dev again');
  await checkRunning(endpoint, settings['SEALDEX_PLATFORM_KEY_ARN'] ?? '');
  const keyArn = await keyArnOf(tenant, settings);
  const call: OwnedKey['call'] = (operation, input) => callLocalKms(endpoint, keyArn, operation, { ...input });
  const { KeyMetadata } = await call('DescribeKey');
  await change({ state: String((KeyMetadata as { KeyState?: unknown }).KeyState), call });
  printLine(`KMS key ${keyArn} of tenant ${tenant} ${outcome}.`);
  printNotice(name === 'enable' ? 'To see its gate: sealdex keys list' : `To undo: sealdex dev key enable ${tenant}`);
}

/** The KMS of another directory may listen there, after a sealdex dev of this one was killed: it lacks the platform key. */
async function checkRunning(endpoint: string, platformKeyArn: string): Promise<void> {
  try {
    await callLocalKms(endpoint, platformKeyArn, 'DescribeKey');
  } catch (error) {
    if (error instanceof RejectedCall || error instanceof TypeError) throw notRunning();
    throw error;
  }
}

async function keyArnOf(tenant: string, settings: Readonly<Record<string, string>>): Promise<string> {
  const { createOperator } = await import('../../app/app.ts');
  const operator = await createOperator(settings, { env: {} });
  try {
    const { kmsKeyArn } = await operator.tenant(tenant);
    if (kmsKeyArn !== undefined) return kmsKeyArn;
    throw new UsageError(`Tenant ${tenant} has no KMS key of its own. Name one that has: sealdex tenants list`);
  } finally {
    await operator[Symbol.asyncDispose]();
  }
}
