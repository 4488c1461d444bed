// `sealdex tenants pause` and `resume`: parks and releases all jobs of a tenant.
import { Command } from 'commander';
import { checkName } from '../runtime/names.ts';
import { checkReason } from './arguments.ts';
import { releasedLine, staysLine } from './keys-change.ts';
import { withOperator } from './with-clients.ts';
import { JSON_OBJECT, REASON, TENANT } from './option-texts.ts';
import { printJson, printLine } from './terminal.ts';

export function pauseCommand(): Command {
  return new Command('pause')
    .description('stop a tenant: park its jobs and block reads')
    .argument('<tenant>', TENANT)
    .requiredOption('--reason <text>', REASON)
    .option('--json', JSON_OBJECT)
    .addHelpText(
      'after',
      `
Use this during incidents. No job is lost and other tenants are not affected.
The pause is stored in the tenant's file and survives the loss of Redis. Reads
fail while the tenant is paused, and its data keys are erased from memory at
once.

Example:
  sealdex tenants pause acme --reason "incident 4711"`,
    )
    .action(async (tenant: string, { reason, json: asJson }: { reason: string; json?: true }) => {
      checkName(tenant, 'tenant');
      const why = checkReason(reason);
      await withOperator(async (operator) => {
        const change = await operator.pauseTenant(tenant, why);
        if (asJson) printJson(change);
        else printLine(`Paused tenant ${tenant}; its jobs are parked. To resume: sealdex tenants resume ${tenant}`);
      });
    });
}

export function resumeCommand(): Command {
  return new Command('resume')
    .description('resume a paused tenant')
    .argument('<tenant>', TENANT)
    .option('--json', JSON_OBJECT)
    .addHelpText(
      'after',
      `
Releases parked jobs, oldest first. Jobs stay parked if the KMS key is blocked
or unusable.

Example:
  sealdex tenants resume acme`,
    )
    .action(async (tenant: string, { json: asJson }: { json?: true }) => {
      checkName(tenant, 'tenant');
      await withOperator(async (operator) => {
        const change = await operator.resumeTenant(tenant);
        if (asJson) return printJson(change);
        if (!change.changed) return printLine(`Tenant ${tenant} is not paused.`);
        const isShut = change.gate !== undefined && change.gate.state !== 'draining';
        printLine(`Resumed tenant ${tenant}. ${isShut ? staysLine(change) : releasedLine(tenant)}`);
      });
    });
}
