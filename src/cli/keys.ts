// `sealdex keys`: KMS keys whose gates are not open, and what an operator does about them.
// The commands that change something are in keys-change.ts.
import { Command } from 'commander';
import type { GateFacts, Operator } from '../app/app.ts';
import { CODES } from '../runtime/errors.ts';
import { checkName } from '../runtime/names.ts';
import { checkArn } from './arguments.ts';
import { factLines, gateLines } from './gate-lines.ts';
import { checkCommand } from './keys-check.ts';
import { blockCommand, probeCommand, releaseCommand, unblockCommand } from './keys-change.ts';
import { keysPolicyCommand } from './keys-policy.ts';
import { withOperator } from './with-clients.ts';
import { printJson, printLine, printNotice } from './terminal.ts';
import { host } from './host.ts';

interface Options {
  readonly tenant?: string;
  readonly json?: true;
}

export function keysCommand(): Command {
  return new Command('keys')
    .description('check a KMS key; those that cannot be used now: whose, why, who acts; try, release, block them')
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
A gate belongs to a tenant and a KMS key. While it is shut, the tenant's jobs under that key are parked;
they go on by themselves when the key works again.

Examples:
  sealdex keys list
  sealdex keys probe arn:aws:kms:us-west-2:111122223333:key/…`,
    );
}

function listCommand(): Command {
  return new Command('list')
    .description('every gate that is not open, the most urgent first, with what there is to do')
    .option('--tenant <name>', 'only those of this tenant')
    .option('--json', 'NDJSON: one line for each gate')
    .addHelpText(
      'after',
      `
Below each gate stand the calls that its tenant would make, or you. A key that will be deleted comes first.
Workers try the keys of shut gates (NEXT PROBE); no probe opens what you have shut. At most 1,000 are listed.

Examples:
  sealdex keys list
  sealdex keys list --tenant acme --json`,
    )
    .action(async ({ tenant, json: asJson }: Options) => {
      if (tenant !== undefined) checkName(tenant, 'tenant');
      await withOperator(async (operator) => {
        const { gates, total } = await operator.gates({ tenant });
        if (asJson) for (const gate of gates) printJson(gate);
        else if (gates.length > 0) for (const line of gateLines(gates)) printLine(line);
        if (total === 0) printNotice('Every gate is open: no KMS key keeps jobs back.');
        if (total > gates.length) printNotice(`${total - gates.length} more are not listed.`);
      });
    });
}

function showCommand(): Command {
  return new Command('show')
    .description('all that is known of the gates of a KMS key, of one tenant or of all that use it')
    .argument('<arn>', 'the full ARN of the KMS key')
    .option('--tenant <name>', 'only that of this tenant')
    .option('--json', 'NDJSON: one line for each gate')
    .addHelpText(
      'after',
      `
The request is what KMS called the one that it refused: the key's owner finds it in CloudTrail.
A key that no tenant has or had ends with exit code 66.

Examples:
  sealdex keys show arn:aws:kms:us-west-2:111122223333:key/…
  sealdex keys show --tenant acme --json arn:aws:kms:us-west-2:111122223333:key/…`,
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
          else printLine(`The gate of tenant ${name} is open.`);
        }
        if (open > 0) return;
        const who = tenant === undefined ? 'No tenant has or had' : `Tenant ${tenant} neither has nor had`;
        printNotice(`${who} the KMS key ${keyArn}.`);
        host().exitCode = CODES.NOT_FOUND.exit;
      });
    });
}

function print(gates: readonly GateFacts[], asJson: true | undefined): void {
  for (const [at, gate] of gates.entries()) {
    if (asJson) printJson(gate);
    else for (const line of [...(at === 0 ? [] : ['']), ...factLines(gate)]) printLine(line);
  }
}

/** Of those that have or had the key, the one that was asked for, or all. */
async function keyTenants(operator: Operator, keyArn: string, tenant: string | undefined): Promise<string[]> {
  const owners: string[] = [];
  for await (const each of operator.tenantsOf(keyArn))
    if (each.error === undefined && !each.deleted && (tenant === undefined || each.tenant === tenant))
      owners.push(each.tenant);
  return owners;
}
