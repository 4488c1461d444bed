// `sealdex tenants pause` and `resume`: all of a tenant's jobs stop, and go on.
import { Command } from 'commander';
import { checkName } from '../runtime/names.ts';
import { checkReason } from './arguments.ts';
import { releasedLine, staysLine } from './keys-change.ts';
import { withOperator } from './with-clients.ts';
import { printJson, printLine } from './terminal.ts';

export function pauseCommand(): Command {
  return new Command('pause')
    .description("park all of a tenant's jobs until it is resumed")
    .argument('<tenant>', 'its name')
    .requiredOption('--reason <text>', 'why, for who looks later')
    .option('--json', 'what came of it, on one line')
    .addHelpText(
      'after',
      `
For incidents: nothing is lost, nobody else notices. It stands in the tenant's file, so it outlasts Redis.
The tenant's documents cannot be read meanwhile, and its data keys in memory are wiped at once.

Example:
  sealdex tenants pause acme --reason "incident 4711"`,
    )
    .action(async (tenant: string, { reason, json: asJson }: { reason: string; json?: true }) => {
      checkName(tenant, 'tenant');
      const why = checkReason(reason);
      await withOperator(async (operator) => {
        const change = await operator.pauseTenant(tenant, why);
        if (asJson) printJson(change);
        else printLine(`Paused tenant ${tenant}: its jobs are parked until sealdex tenants resume ${tenant}`);
      });
    });
}

export function resumeCommand(): Command {
  return new Command('resume')
    .description("let a paused tenant's jobs go on")
    .argument('<tenant>', 'its name')
    .option('--json', 'what came of it, on one line')
    .addHelpText(
      'after',
      `
The parked jobs are released, oldest first. A KMS key that is blocked or cannot be used keeps them parked.

Example:
  sealdex tenants resume acme`,
    )
    .action(async (tenant: string, { json: asJson }: { json?: true }) => {
      checkName(tenant, 'tenant');
      await withOperator(async (operator) => {
        const change = await operator.resumeTenant(tenant);
        if (asJson) return printJson(change);
        if (!change.changed) return printLine(`Tenant ${tenant} was not paused.`);
        const isShut = change.gate !== undefined && change.gate.state !== 'draining';
        printLine(`Resumed tenant ${tenant}. ${isShut ? staysLine(change) : releasedLine(tenant)}`);
      });
    });
}
