// `sealdex tenants`: who the tenants are, and making one.
import { Command, Option } from 'commander';
import type { TenantFile } from '../app.ts';
import { checkName, PLANS, type Plan } from '../names.ts';
import { withOperator } from './opened.ts';
import { json, jsonText, out, say, table } from './terminal.ts';

export function tenantsCommand(): Command {
  return new Command('tenants')
    .description('list, show and make tenants')
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(putCommand())
    .addHelpText(
      'after',
      `
Examples:
  sealdex tenants put acme --plan pro --key arn:aws:kms:us-west-2:111122223333:key/…
  sealdex tenants list`,
    );
}

const keyOf = ({ kmsKeyArn }: TenantFile): string => kmsKeyArn ?? 'platform key';

function listCommand(): Command {
  return new Command('list')
    .description('all tenants with plan and KMS key')
    .option('--json', 'NDJSON: one line for each tenant')
    .addHelpText('after', '\nExamples:\n  sealdex tenants list\n  sealdex tenants list --json')
    .action(({ json: asJson }: { json?: true }) =>
      withOperator(async (operator) => {
        const rows: string[][] = [];
        let tenants = 0;
        for await (const name of operator.tenantNames()) {
          const file = await operator.tenant(name);
          tenants += 1;
          if (asJson) json(file);
          else rows.push([file.tenant, file.plan, keyOf(file)]);
        }
        if (rows.length > 0) for (const line of table([['TENANT', 'PLAN', 'KEY'], ...rows])) out(line);
        if (tenants === 0) say('There are no tenants yet: sealdex tenants put T --plan P makes one.');
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
        out(jsonText(await operator.tenant(tenant), asJson ? undefined : 2));
      });
    });
}

function putCommand(): Command {
  return new Command('put')
    .description('make a tenant, or change its plan')
    .argument('<tenant>', '1 to 50 letters, digits, _, = or -')
    .addOption(
      new Option('--plan <plan>', 'only pro and enterprise may have a KMS key').choices(PLANS).makeOptionMandatory(),
    )
    .option(
      '--key <arn>',
      "the tenant's own KMS key; without it the platform key serves it. Only when the tenant is made",
    )
    .option('--json', "the tenant's file on one line")
    .addHelpText(
      'after',
      `
Examples:
  sealdex tenants put globex --plan free
  sealdex tenants put acme --plan pro --key arn:aws:kms:us-west-2:111122223333:key/…`,
    )
    .action(async (tenant: string, { plan, key, json: asJson }: { plan: Plan; key?: string; json?: true }) => {
      checkName(tenant, 'tenant');
      await withOperator(async (operator) => {
        const change = { plan, ...(key === undefined ? {} : { kmsKeyArn: key }) };
        const { made, file } = await operator.putTenant(tenant, change);
        const served = file.kmsKeyArn === undefined ? 'platform key' : `KMS key ${file.kmsKeyArn}`;
        if (asJson) json(file);
        else out(`${made ? 'Made' : 'Changed'} tenant ${tenant}: plan ${file.plan}, ${served}.`);
      });
    });
}
