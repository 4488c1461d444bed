// `sealdex tenants`: who the tenants are, and making or changing one. Stopping one is tenants-pause.ts.
import { Command, Option } from 'commander';
import type { TenantFile } from '../app/app.ts';
import { checkName, PLANS, WHEN_KEY_SHUT, type Plan, type WhenKeyShut } from '../runtime/names.ts';
import { UsageError } from './failure.ts';
import { withOperator } from './with-clients.ts';
import { deleteTenantCommand } from './tenants-delete.ts';
import { exportCommand } from './tenants-export.ts';
import { reencryptCommand, setKeyCommand } from './tenants-key.ts';
import { reencryptionLines, reencryptionViewOf } from './tenants-reencryption.ts';
import { pauseCommand, resumeCommand } from './tenants-pause.ts';
import { printWarnings } from './check-line.ts';
import { printJson, jsonText, oneLine, printLine, printNotice, table, time } from './terminal.ts';

export function tenantsCommand(): Command {
  return new Command('tenants')
    .description('list, show, make, change, pause, resume, export and delete tenants, and change their KMS keys')
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(putCommand())
    .addCommand(setKeyCommand())
    .addCommand(reencryptCommand())
    .addCommand(pauseCommand())
    .addCommand(resumeCommand())
    .addCommand(exportCommand())
    .addCommand(deleteTenantCommand())
    .addHelpText(
      'after',
      `
Examples:
  sealdex tenants put acme --plan pro --key arn:aws:kms:us-west-2:111122223333:key/…
  sealdex tenants put acme --when-key-shut refuse
  sealdex tenants list`,
    );
}

/** What the operator has stopped of it. */
function stoppedOf({ paused, blockedKeys, deleted }: TenantFile): string {
  const words = [
    ...(deleted ? [`deleted since ${time(deleted.at)}`] : []),
    ...(paused ? [`paused since ${time(paused.since)}: ${paused.reason}`] : []),
    ...blockedKeys.map(({ arn, since, reason }) => `key ${arn} blocked since ${time(since)}: ${reason}`),
  ];
  return oneLine(words.join('; '));
}

const keyOf = ({ kmsKeyArn }: TenantFile): string => kmsKeyArn ?? 'platform key';

function listCommand(): Command {
  return new Command('list')
    .description('all tenants with plan and KMS key, and what of them is stopped')
    .option('--deleted', 'those that were deleted too')
    .option('--json', 'NDJSON: one line for each tenant')
    .addHelpText('after', '\nExamples:\n  sealdex tenants list\n  sealdex tenants list --json')
    .action(({ json: asJson, deleted: withDeleted }: { json?: true; deleted?: true }) =>
      withOperator(async (operator) => {
        const rows: string[][] = [];
        let tenants = 0;
        for await (const name of operator.tenantNames()) {
          const file = await operator.tenant(name);
          if (file.deleted && !withDeleted) continue;
          tenants += 1;
          if (asJson) printJson(file);
          else rows.push([file.tenant, file.plan, keyOf(file), stoppedOf(file)]);
        }
        if (rows.length > 0) for (const line of table([['TENANT', 'PLAN', 'KEY', 'STOPPED'], ...rows])) printLine(line);
        if (tenants === 0) printNotice('There are no tenants yet: sealdex tenants put T --plan P makes one.');
      }),
    );
}

function showCommand(): Command {
  return new Command('show')
    .description("a tenant's file, as it stands in S3")
    .argument('<tenant>', 'its name')
    .option('--json', 'on one line')
    .addHelpText('after', '\nExample:\n  sealdex tenants show acme')
    .action(async (tenant: string, { json: asJson }: { json?: true }) => {
      checkName(tenant, 'tenant');
      await withOperator(async (operator) => {
        const file = await operator.tenant(tenant);
        printLine(jsonText(file, asJson ? undefined : 2));
        for (const line of reencryptionLines(await reencryptionViewOf(operator, file))) printNotice(line);
        const stopped = stoppedOf(file);
        if (stopped !== '') printNotice(`Tenant ${tenant}: ${stopped}.`);
      });
    });
}

interface PutOptions {
  readonly plan?: Plan;
  readonly key?: string;
  readonly whenKeyShut?: WhenKeyShut;
  readonly keepOriginals?: 'yes' | 'no';
  readonly shared?: true;
  readonly json?: true;
}

function putCommand(): Command {
  return new Command('put')
    .description('make a tenant, or change its plan and choices')
    .argument('<tenant>', '1 to 50 letters, digits, _, = or -')
    .addOption(
      new Option('--plan <plan>', 'only pro and enterprise may have a KMS key; a new tenant needs one').choices(PLANS),
    )
    .option(
      '--key <arn>',
      "the tenant's own KMS key; without it the platform key serves it. Only when the tenant is made",
    )
    .option('--shared', 'accept a key that another tenant has or had')
    .addOption(
      new Option(
        '--when-key-shut <what>',
        'what becomes of content that arrives while its KMS key is unusable',
      ).choices(WHEN_KEY_SHUT),
    )
    .addOption(
      new Option('--keep-originals <choice>', 'keep uploaded files, encrypted, beside what was read from them').choices(
        ['yes', 'no'],
      ),
    )
    .option('--json', "the tenant's file on one line")
    .addHelpText(
      'after',
      `
A key is checked first, as by sealdex keys check; no tenant is made when it cannot be used.

Content that arrives while the tenant's KMS key is unusable waits under the platform key (park, which is the
default), or is refused, for a tenant that wants nothing of its own under any other key.

Examples:
  sealdex tenants put globex --plan free
  sealdex tenants put acme --plan pro --key arn:aws:kms:us-west-2:111122223333:key/…
  sealdex tenants put acme --when-key-shut refuse`,
    )
    .action(put);
}

async function put(
  tenant: string,
  { plan, key, whenKeyShut, keepOriginals, shared, json: asJson }: PutOptions,
): Promise<void> {
  checkName(tenant, 'tenant');
  const change = {
    ...(plan === undefined ? {} : { plan }),
    ...(whenKeyShut === undefined ? {} : { whenKeyShut }),
    ...(keepOriginals === undefined ? {} : { keepOriginals: keepOriginals === 'yes' }),
  };
  if (Object.keys(change).length === 0 && key === undefined)
    throw new UsageError('There is nothing to change: give --plan, --key, --when-key-shut or --keep-originals.');
  if (shared && key === undefined) throw new UsageError('--shared is about a KMS key: give --key with it.');
  await withOperator(async (operator) => {
    const { made, file, check } =
      key === undefined
        ? await operator.putTenant(tenant, change)
        : await operator.makeTenant(tenant, { ...change, kmsKeyArn: key }, shared ? { shared } : {});
    printWarnings(check);
    const served = file.kmsKeyArn === undefined ? 'platform key' : `KMS key ${file.kmsKeyArn}`;
    const refuses = file.whenKeyShut === 'refuse' ? ', content is refused while its key is shut' : '';
    const keeps = file.keepOriginals ? ', uploaded files are kept' : '';
    if (asJson) printJson(file);
    else printLine(`${made ? 'Made' : 'Changed'} tenant ${tenant}: plan ${file.plan}, ${served}${refuses}${keeps}.`);
  });
}
