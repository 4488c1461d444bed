// `sealdex tenants`: who the tenants are, and making one.
import { Command, Option } from 'commander';
import type { Operator, TenantFile } from '../app.ts';
import { checkName, PLANS, type Plan } from '../names.ts';
import { json, out, table } from './terminal.ts';

export function tenantsCommand(): Command {
  return new Command('tenants')
    .description('list, show and make tenants')
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(putCommand())
    .addHelpText(
      'after',
      '\nExamples:\n  sealdex tenants put acme --plan pro --key arn:aws:kms:us-west-2:111122223333:key/…\n  sealdex tenants list',
    );
}

async function withOperator(work: (operator: Operator) => Promise<void>): Promise<void> {
  const { createOperator } = await import('../app.ts');
  const operator = await createOperator();
  try {
    await work(operator);
  } finally {
    await operator[Symbol.asyncDispose]();
  }
}

const keyOf = ({ kmsKeyArn }: TenantFile): string => kmsKeyArn ?? 'platform key';

function listCommand(): Command {
  return new Command('list')
    .description('all tenants with plan and KMS key')
    .option('--json', 'NDJSON: one line for each tenant')
    .addHelpText('after', '\nExample:\n  sealdex tenants list')
    .action(({ json: asJson }: { json?: true }) =>
      withOperator(async (operator) => {
        const files: TenantFile[] = [];
        for await (const name of operator.tenantNames()) {
          const file = await operator.tenant(name);
          if (asJson) json(file);
          else files.push(file);
        }
        if (!asJson)
          for (const line of table([
            ['TENANT', 'PLAN', 'KEY'],
            ...files.map((file) => [file.tenant, file.plan, keyOf(file)]),
          ]))
            out(line);
      }),
    );
}

function showCommand(): Command {
  return new Command('show')
    .description("a tenant's file, as it stands in S3")
    .argument('<tenant>', 'its name')
    .option('--json', 'on one line')
    .addHelpText('after', '\nExample:\n  sealdex tenants show acme')
    .action((tenant: string, { json: asJson }: { json?: true }) =>
      withOperator(async (operator) => {
        const file = await operator.tenant(checkName(tenant, 'tenant'));
        out(asJson ? JSON.stringify(file) : JSON.stringify(file, null, 2));
      }),
    );
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
      '\nExamples:\n  sealdex tenants put globex --plan free\n  sealdex tenants put acme --plan pro --key arn:aws:kms:us-west-2:111122223333:key/…',
    )
    .action((tenant: string, { plan, key, json: asJson }: { plan: Plan; key?: string; json?: true }) =>
      withOperator(async (operator) => {
        const change = { plan, ...(key === undefined ? {} : { kmsKeyArn: key }) };
        const { made, file } = await operator.putTenant(checkName(tenant, 'tenant'), change);
        if (asJson) json(file);
        else
          out(
            `${made ? 'Made' : 'Changed'} tenant ${tenant}: plan ${file.plan}, ${file.kmsKeyArn === undefined ? 'platform key' : `KMS key ${file.kmsKeyArn}`}.`,
          );
      }),
    );
}
