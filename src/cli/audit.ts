// `sealdex audit`: commands for the audit log of KMS calls.
import { Command } from 'commander';
import { reconcileCommand } from './audit-reconcile.ts';

export function auditCommand(): Command {
  return new Command('audit')
    .description('compare the audit log with CloudTrail')
    .addCommand(reconcileCommand())
    .addHelpText(
      'after',
      `
Example:
  sealdex audit reconcile acme --audit audit.jsonl --cloudtrail trail/`,
    );
}
