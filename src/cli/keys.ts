// `sealdex keys`: lists and shows KMS keys whose gates are not open. The commands that change something are in keys-change.ts.
import { Command } from 'commander';
import type { GateFacts, Operator } from '../app/app.ts';
import { CODES } from '../runtime/errors.ts';
import { checkName } from '../runtime/names.ts';
import { checkArn } from './arguments.ts';
import { gateFactLines, gateLines } from './gate-lines.ts';
import { checkCommand } from './keys-check.ts';
import { blockCommand, probeCommand, releaseCommand, unblockCommand } from './keys-change.ts';
import { keysPolicyCommand } from './keys-policy.ts';
import { withOperator } from './with-clients.ts';
import { EXAMPLE_ARN, jsonLines, KEY_ARN, ONLY_TENANT, WIDE } from './option-texts.ts';
import { counted, printJson, printLine, printNotice } from './terminal.ts';
import { host } from './host.ts';

interface Options {
  readonly tenant?: string;
  readonly json?: true;
}

export function keysCommand(): Command {
  return new Command('keys')
    .description("manage tenants' KMS keys and their gates")
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(checkCommand())
    .addCommand(probeCommand())
    .addCommand(releaseCommand())
    .addCommand(blockCommand())
    .addCommand(unblockCommand())
    .addCommand(keysPolicyCommand())
    .addHelpText(
      'after',
      `
Each tenant and KMS key has a gate. While the gate is shut, the tenant's jobs
for that key are parked. They resume automatically when the key works again.

Examples:
  sealdex keys list
  sealdex keys probe ${EXAMPLE_ARN}`,
    );
}

function listCommand(): Command {
  return new Command('list')
    .description('list gates that are not open, most urgent first')
    .option('--tenant <name>', ONLY_TENANT)
    .option('--wide', WIDE)
    .option('--json', jsonLines('gate'))
    .addHelpText(
      'after',
      `
Each gate is followed by the commands that fix it. Keys scheduled for deletion
come first. Workers probe the keys of shut gates (NEXT PROBE), except those you
blocked or paused. Lists at most 1,000 gates.

Examples:
  sealdex keys list
  sealdex keys list --tenant acme --json`,
    )
    .action(async ({ tenant, wide, json: asJson }: Options & { wide?: true }) => {
      if (tenant !== undefined) checkName(tenant, 'tenant');
      await withOperator(async (operator) => {
        const { gates, total } = await operator.gates({ tenant });
        if (asJson) for (const gate of gates) printJson(gate);
        else if (gates.length > 0) for (const line of gateLines(gates, wide === true)) printLine(line);
        if (total === 0) printNotice('All gates are open.');
        if (total > gates.length) printNotice(`${counted(total - gates.length, 'more gate')} not shown.`);
      });
    });
}

function showCommand(): Command {
  return new Command('show')
    .description('show the gates of a KMS key')
    .argument('<arn>', KEY_ARN)
    .option('--tenant <name>', ONLY_TENANT)
    .option('--json', jsonLines('gate'))
    .addHelpText(
      'after',
      `
The request field is the AWS request id of the denied call. The key's owner can
find it in CloudTrail.

Exit codes:
  0   found
  66  no tenant uses or used the key

Examples:
  sealdex keys show ${EXAMPLE_ARN}
  sealdex keys show --tenant acme --json ${EXAMPLE_ARN}`,
    )
    .action(async (text: string, { tenant, json: asJson }: Options) => {
      const keyArn = checkArn(text);
      if (tenant !== undefined) checkName(tenant, 'tenant');
      await withOperator(async (operator) => {
        const { gates } = await operator.gates({ tenant, keyArn });
        if (gates.length > 0) return print(gates, asJson);
        let open = 0;
        for (const name of await keyTenants(operator, keyArn, tenant)) {
          open += 1;
          if (asJson) printJson({ tenant: name, keyArn, state: 'open' });
          else printLine(`Tenant ${name}: the gate is open.`);
        }
        if (open > 0) return;
        const owner = tenant === undefined ? 'a tenant' : `tenant ${tenant}`;
        printNotice(`The KMS key ${keyArn} does not belong to ${owner}.`);
        host().exitCode = CODES.NOT_FOUND.exit;
      });
    });
}

function print(gates: readonly GateFacts[], asJson: true | undefined): void {
  for (const [at, gate] of gates.entries()) {
    if (asJson) printJson(gate);
    else for (const line of [...(at === 0 ? [] : ['']), ...gateFactLines(gate)]) printLine(line);
  }
}

/** Tenants that have or had the key: the given one, or all. */
async function keyTenants(operator: Operator, keyArn: string, tenant: string | undefined): Promise<string[]> {
  const owners: string[] = [];
  for await (const each of operator.tenantsOf(keyArn))
    if (each.error === undefined && !each.deleted && (tenant === undefined || each.tenant === tenant))
      owners.push(each.tenant);
  return owners;
}
