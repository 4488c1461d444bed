// `sealdex keys check`: whether a KMS key can be attached to a tenant, step by step.
import { Command, Option } from 'commander';
import { CODES } from '../runtime/errors.ts';
import { checkName, PLANS, type Plan } from '../runtime/names.ts';
import { withOperator } from './with-clients.ts';
import { printJson, printLine, printNotice } from './terminal.ts';
import { checkLine } from './check-line.ts';
import { host } from './host.ts';

interface Options {
  readonly tenant: string;
  readonly shared?: true;
  readonly plan?: Plan;
  readonly json?: true;
}

const STEP_CHARS = 'GenerateDataKey'.length;

export function checkCommand(): Command {
  return new Command('check')
    .description('whether a KMS key can be attached to a tenant; changes nothing')
    .argument('<arn>', 'the full ARN of the KMS key')
    .requiredOption('--tenant <name>', 'for whom; it need not exist yet')
    .option('--shared', 'other tenants may have or have had the key')
    .addOption(new Option('--plan <plan>', 'of a tenant that does not exist yet: the one it will have').choices(PLANS))
    .option('--json', 'one line of JSON')
    .addHelpText(
      'after',
      `
A line for each step: verdict, step, what was seen, what to do. It makes the real calls with the key, in this
tenant's context and in wrong ones, so they stand in the tenant's CloudTrail; nothing is kept of them.

Exit code: 0 when the key can be attached, warnings or not; 65 when it cannot; 75 or 69 when nothing could be
found out (KMS throttles or fails, or our credentials do): that says nothing about the key, try again.

Examples:
  sealdex keys check arn:aws:kms:us-west-2:111122223333:key/… --tenant acme
  sealdex keys check arn:aws:kms:us-west-2:111122223333:key/… --tenant newcomer --plan pro --json`,
    )
    .action(check);
}

async function check(arn: string, { tenant, shared, plan, json: asJson }: Options): Promise<void> {
  checkName(tenant, 'tenant');
  await withOperator(async (operator) => {
    const { canAttach, ...checked } = await operator.checkKey(tenant, arn, {
      shared,
      plan,
      onStep: ({ step, ...found }) => asJson ?? printLine(checkLine({ name: step, ...found }, STEP_CHARS)),
    });
    if (asJson) printJson({ ...checked, canAttach });
    else if (canAttach) printNotice(`The key can be attached to tenant ${tenant}.`);
    else printNotice(`The key cannot be attached to tenant ${tenant}.`);
    if (!canAttach) host().exitCode = CODES.TENANT_KEY_INVALID.exit;
  });
}
