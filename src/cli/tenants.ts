// `sealdex tenants`: lists, creates and changes tenants. Pausing one is in tenants-pause.ts.
import { isDeepStrictEqual } from 'node:util';
import { Command, Option } from 'commander';
import type { TenantFile } from '../app/app.ts';
import {
  checkName,
  ORIGINS_TO_ALLOW,
  PLANS,
  WHEN_KEY_SHUT,
  type OriginToAllow,
  type Plan,
  type WhenKeyShut,
} from '../runtime/names.ts';
import { given } from './arguments.ts';
import { CODES } from '../runtime/errors.ts';
import { textOf, UsageError } from './failure.ts';
import { host } from './host.ts';
import { knownTenant } from './known-tenant.ts';
import { withOperator } from './with-clients.ts';
import { deleteTenantCommand } from './tenants-delete.ts';
import { exportCommand } from './tenants-export.ts';
import { reencryptCommand, setKeyCommand } from './tenants-key.ts';
import { showCommand } from './tenants-show.ts';
import { IN_FULL, stopsOf, type StopWords } from './tenant-stops.ts';
import { pauseCommand, resumeCommand } from './tenants-pause.ts';
import { printWarnings } from './check-line.ts';
import { ALLOW_ORIGIN, EXAMPLE_ARN, JSON_LINE, jsonLines, SHARED, TENANT, WHEN_SHUT, WIDE } from './option-texts.ts';
import { age, printJson, printLine, printNotice } from './terminal.ts';
import { keyNames, tableLines, type Column } from './table.ts';

export function tenantsCommand(): Command {
  return new Command('tenants')
    .description('manage tenants')
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
  sealdex tenants put acme --plan pro --when-key-shut park --key ${EXAMPLE_ARN}
  sealdex tenants put acme --when-key-shut refuse
  sealdex tenants list`,
    );
}

function columnsOf(files: readonly TenantFile[]): Column<TenantFile>[] {
  const name = keyNames(
    files.flatMap(({ kmsKeyArn, blockedKeys }) => [
      ...(kmsKeyArn === undefined ? [] : [kmsKeyArn]),
      ...blockedKeys.map(({ arn }) => arn),
    ]),
  );
  const inShort: StopWords = { since: (at) => `${age(at)} ago`, key: name };
  const keyOf = (file: TenantFile, { key }: StopWords): string =>
    file.kmsKeyArn === undefined ? 'platform key' : key(file.kmsKeyArn);
  return [
    { title: 'TENANT', text: ({ tenant }) => tenant, cut: 'middle' },
    { title: 'PLAN', text: ({ plan }) => plan },
    { title: 'KEY', only: 'narrow', text: (file) => keyOf(file, inShort) },
    { title: 'STOPPED BY OPERATOR', only: 'narrow', text: (file) => stopsOf(file, inShort), cut: 'end' },
    { title: 'KEY', only: 'wide', text: (file) => keyOf(file, IN_FULL) },
    { title: 'STOPPED BY OPERATOR', only: 'wide', text: (file) => stopsOf(file, IN_FULL) },
  ];
}

function listCommand(): Command {
  return new Command('list')
    .description('list tenants with plan, KMS key and stops')
    .option('--deleted', 'include deleted tenants')
    .option('--wide', WIDE)
    .option('--json', jsonLines('tenant'))
    .addHelpText(
      'after',
      `
STOPPED BY OPERATOR has pauses, blocked keys and deletions. For gates that KMS
errors have shut: sealdex keys list.

Examples:
  sealdex tenants list
  sealdex tenants list --wide`,
    )
    .action(({ json: asJson, wide, deleted: withDeleted }: { json?: true; wide?: true; deleted?: true }) =>
      withOperator(async (operator) => {
        const files: TenantFile[] = [];
        let tenants = 0;
        for await (const { file, error } of operator.tenantFiles()) {
          if (error) {
            printNotice(textOf(error));
            host().exitCode = CODES[error.code].exit;
            continue;
          }
          if (file.deleted && !withDeleted) continue;
          tenants += 1;
          if (asJson) printJson(file);
          else files.push(file);
        }
        for (const line of tableLines(columnsOf(files), files, wide === true)) printLine(line);
        if (tenants === 0 && host().exitCode === undefined)
          printNotice('No tenants yet. Create one: sealdex tenants put T --plan P');
      }),
    );
}

interface PutOptions {
  readonly plan?: Plan;
  readonly key?: string;
  readonly whenKeyShut?: WhenKeyShut;
  readonly keepOriginals?: 'yes' | 'no';
  readonly shared?: true;
  readonly allowOrigin?: OriginToAllow;
  readonly json?: true;
}

function putCommand(): Command {
  return new Command('put')
    .description('create a tenant or change its options')
    .argument('<tenant>', `${TENANT}: 1 to 50 letters, digits, _, = or -`)
    .addOption(
      new Option('--plan <plan>', 'plan, required for a new tenant; free tenants cannot have a KMS key').choices(PLANS),
    )
    .option('--key <arn>', "tenant's KMS key, for a new tenant only; default: the platform key")
    .option('--shared', SHARED)
    .addOption(
      new Option('--when-key-shut <action>', `${WHEN_SHUT}; default: SEALDEX_WHEN_KEY_SHUT`).choices(WHEN_KEY_SHUT),
    )
    .addOption(new Option('--allow-origin <origin>', ALLOW_ORIGIN).choices(ORIGINS_TO_ALLOW))
    .addOption(
      new Option('--keep-originals <choice>', 'also store the uploaded files, encrypted').choices(['yes', 'no']),
    )
    .option('--json', JSON_LINE)
    .addHelpText(
      'after',
      `
The key is checked first (sealdex keys check). If it cannot be used, the tenant
is not created.

A tenant with a KMS key needs --when-key-shut. With park, content submitted
while the key is unusable waits, encrypted under the platform key. With refuse,
it is rejected, so that no other key ever encrypts the tenant's data.

A key should have the origin AWS_KMS or AWS_CLOUDHSM. The history of the tenant
records an origin that you allow.

Examples:
  sealdex tenants put globex --plan free
  sealdex tenants put acme --plan pro --when-key-shut park --key ${EXAMPLE_ARN}
  sealdex tenants put acme --when-key-shut refuse`,
    )
    .action(put);
}

async function put(
  tenant: string,
  { plan, key, whenKeyShut, keepOriginals, shared, allowOrigin, json: asJson }: PutOptions,
): Promise<void> {
  checkName(tenant, 'tenant');
  const change = {
    ...(plan === undefined ? {} : { plan }),
    ...(whenKeyShut === undefined ? {} : { whenKeyShut }),
    ...(keepOriginals === undefined ? {} : { keepOriginals: keepOriginals === 'yes' }),
  };
  if (Object.keys(change).length === 0 && key === undefined)
    throw new UsageError('Nothing to change. Use --plan, --key, --when-key-shut or --keep-originals.');
  if (shared && key === undefined) throw new UsageError('--shared requires --key.');
  await withOperator(async (operator) => {
    const before = await knownTenant(operator, tenant);
    const { made, file, check } =
      key === undefined
        ? await operator.putTenant(tenant, change)
        : await operator.makeTenant(tenant, { ...change, kmsKeyArn: key }, given({ shared, allowOrigin }));
    printWarnings(check);
    const served = file.kmsKeyArn === undefined ? 'platform key' : `KMS key ${file.kmsKeyArn}`;
    const refuses = file.whenKeyShut === 'refuse' ? ', rejects content while its key is unusable' : '';
    const keeps = file.keepOriginals ? ', keeps uploaded files' : '';
    if (asJson) printJson(file);
    else {
      const change = made ? 'Created' : isDeepStrictEqual(before, file) ? 'Nothing to change for' : 'Changed';
      printLine(`${change} tenant ${tenant}: plan ${file.plan}, ${served}${refuses}${keeps}.`);
    }
  });
}
