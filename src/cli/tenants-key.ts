// `sealdex tenants set-key` and `reencrypt`: changes the KMS key of a tenant, and re-encrypts its stored objects.
import { Command, Option } from 'commander';
import type { Operator } from '../app/app.ts';
import { sleep, systemClock } from '../runtime/clock.ts';
import { CODES } from '../runtime/errors.ts';
import {
  checkName,
  ORIGINS_TO_ALLOW,
  PLATFORM,
  WHEN_KEY_SHUT,
  type OriginToAllow,
  type WhenKeyShut,
} from '../runtime/names.ts';
import { checkArn, given } from './arguments.ts';
import { promptUser, canAsk, isYes } from './prompt.ts';
import { UsageError } from './failure.ts';
import { untilInterrupted } from './interrupt.ts';
import { withOperator } from './with-clients.ts';
import { reencryptionLines, reencryptionViewOf, stalledPage } from './tenants-reencryption.ts';
import { ALLOW_ORIGIN, EXAMPLE_ARN, JSON_OBJECT, KEY_ARN, SHARED, TENANT, WHEN_SHUT, YES } from './option-texts.ts';
import { counted, printJson, printLine, printNotice } from './terminal.ts';
import { printWarnings } from './check-line.ts';
import { host } from './host.ts';

interface SetKeyOptions {
  readonly toPlatformKey?: true;
  readonly shared?: true;
  readonly whenKeyShut?: WhenKeyShut;
  readonly allowOrigin?: OriginToAllow;
  readonly yes?: true;
  readonly json?: true;
}

const isConfirmed = async (tenant: string, signal: AbortSignal): Promise<boolean> =>
  isYes(
    await promptUser(
      `Tenant ${tenant} will no longer be able to revoke access to its stored data. Switch to the platform key? [y/N] `,
      signal,
    ),
  );

export function setKeyCommand(): Command {
  return new Command('set-key')
    .description("change a tenant's KMS key and re-encrypt its data")
    .argument('<tenant>', TENANT)
    .argument('[arn]', KEY_ARN)
    .option('--to-platform-key', 'switch to the platform key (asks for confirmation)')
    .option('--shared', SHARED)
    .addOption(
      new Option('--when-key-shut <action>', `${WHEN_SHUT}; default: SEALDEX_WHEN_KEY_SHUT`).choices(WHEN_KEY_SHUT),
    )
    .addOption(new Option('--allow-origin <origin>', ALLOW_ORIGIN).choices(ORIGINS_TO_ALLOW))
    .option('--yes', YES)
    .option('--json', JSON_OBJECT)
    .addHelpText(
      'after',
      `
Runs sealdex keys check first and changes nothing if it fails. Then new data
keys use the new key, jobs parked for the old key are released, and low-priority
jobs re-encrypt stored objects. Keep the old key enabled until sealdex tenants
show T reports that re-encryption is complete.

A tenant that leaves the platform key needs --when-key-shut: see sealdex tenants
put --help.

Examples:
  sealdex tenants set-key acme --when-key-shut park ${EXAMPLE_ARN}
  sealdex tenants set-key acme --to-platform-key`,
    )
    .action((tenant: string, arn: string | undefined, options: SetKeyOptions) => {
      checkName(tenant, 'tenant');
      if ((arn === undefined) !== (options.toPlatformKey === true))
        throw new UsageError('Specify either a KMS key ARN or --to-platform-key.');
      const to = arn === undefined ? PLATFORM : checkArn(arn);
      const isUnasked = to === PLATFORM && !options.yes;
      if (isUnasked && (options.json || !canAsk()))
        throw new UsageError('Cannot ask for confirmation without a terminal. Use --yes.');
      return untilInterrupted((signal) =>
        withOperator(async (operator) => {
          if (isUnasked && !(await isConfirmed(tenant, signal))) return printNotice('Nothing was changed.');
          await change(operator, tenant, to, options);
        }),
      );
    });
}

async function change(operator: Operator, tenant: string, to: string, options: SetKeyOptions): Promise<void> {
  const { shared, allowOrigin, whenKeyShut } = options;
  const changed = await operator.setKey(tenant, to, given({ shared, allowOrigin, whenKeyShut }));
  if (options.json) return printJson(changed);
  printWarnings(changed.check);
  const name = to === PLATFORM ? 'the platform key' : to;
  if (!changed.changed) return printLine(`Tenant ${tenant} already uses ${name}.`);
  printLine(`Tenant ${tenant} now uses ${name} for new data.`);
  printNotice(
    `Re-encryption of stored objects has started. sealdex tenants show ${tenant} reports when the old key is no longer needed.`,
  );
}

interface ReencryptOptions {
  readonly dryRun?: true;
  readonly wait?: true;
  readonly json?: true;
}

export function reencryptCommand(): Command {
  return new Command('reencrypt')
    .description('restart re-encryption to the current KMS key')
    .argument('<tenant>', TENANT)
    .option('--dry-run', 'print the number of objects per KMS key')
    .option('--wait', 'wait until the pass is complete or stalled')
    .option('--json', JSON_OBJECT)
    .addHelpText(
      'after',
      `
A key change starts re-encryption automatically. Use this command to restart it
when objects were left behind. Each object is decrypted with its key and
encrypted again under the current key.

Exit codes:
  0       success
  65, 75  re-encryption is stalled: its next job is dead or parked

Examples:
  sealdex tenants reencrypt acme --dry-run
  sealdex tenants reencrypt acme --wait`,
    )
    .action((tenant: string, options: ReencryptOptions) => {
      checkName(tenant, 'tenant');
      return untilInterrupted((signal) => withOperator((operator) => reencrypt(operator, tenant, options, signal)));
    });
}

async function reencrypt(
  operator: Operator,
  tenant: string,
  { dryRun, wait, json: asJson }: ReencryptOptions,
  signal: AbortSignal,
): Promise<void> {
  if (dryRun) {
    const keys = await operator.countKeys(tenant, signal);
    if (asJson) return printJson({ tenant, keys: Object.fromEntries(keys) });
    if (keys.size === 0) printLine(`Tenant ${tenant} has no stored objects.`);
    for (const [arn, objects] of keys) printLine(`${counted(objects, 'object')} under ${arn}`);
    return;
  }
  await operator.reencrypt(tenant);
  if (wait) await waitForPass(operator, tenant, signal);
  const moving = await reencryptionViewOf(operator, await operator.tenant(tenant));
  if (moving.stuck?.code) host().exitCode = CODES[moving.stuck.code].exit;
  if (asJson) return printJson({ tenant, ...moving.progress });
  for (const line of reencryptionLines(moving)) printLine(line);
}

const LOOK_MS = 500;
const LINE_MS = 2000;

/** Waits until the pass ends or stalls. The final pass starts automatically, minutes later, and is not awaited. */
async function waitForPass(operator: Operator, tenant: string, signal: AbortSignal): Promise<void> {
  let saidAt = systemClock.monotonic();
  for (;;) {
    const progress = await operator.reencryption(tenant);
    const waits = progress.passBegun !== undefined && progress.passBegun > systemClock.now();
    if (progress.state !== 'moving' || waits || (await stalledPage(operator, progress))) return;
    if (systemClock.monotonic() - saidAt >= LINE_MS) {
      printNotice(`re-encrypted ${progress.counts?.moved ?? 0}`);
      saidAt = systemClock.monotonic();
    }
    await sleep(systemClock, LOOK_MS, signal);
  }
}
