// `sealdex keys check`: checks whether a KMS key can be attached to a tenant, and prints each step.
import { Command, Option } from 'commander';
import { CODES } from '../runtime/errors.ts';
import { checkName, ORIGINS_TO_ALLOW, PLANS, type OriginToAllow, type Plan } from '../runtime/names.ts';
import { knownTenant } from './known-tenant.ts';
import { withOperator } from './with-clients.ts';
import { ALLOW_ORIGIN, EXAMPLE_ARN, JSON_OBJECT, KEY_ARN, SHARED, WIDE_CHECKS } from './option-texts.ts';
import { printJson, printLine, printNotice } from './terminal.ts';
import { checkLines } from './check-line.ts';
import { host } from './host.ts';

interface Options {
  readonly tenant: string;
  readonly shared?: true;
  readonly plan?: Plan;
  readonly allowOrigin?: OriginToAllow;
  readonly wide?: true;
  readonly json?: true;
}

const STEP_CHARS = 'GenerateDataKey'.length;

export function checkCommand(): Command {
  return new Command('check')
    .description('check whether a tenant can use a KMS key')
    .argument('<arn>', KEY_ARN)
    .requiredOption('--tenant <name>', 'tenant name; need not exist yet')
    .option('--shared', SHARED)
    .addOption(new Option('--allow-origin <origin>', ALLOW_ORIGIN).choices(ORIGINS_TO_ALLOW))
    .addOption(new Option('--plan <plan>', 'plan of a tenant that does not exist yet').choices(PLANS))
    .option('--wide', WIDE_CHECKS)
    .option('--json', JSON_OBJECT)
    .addHelpText(
      'after',
      `
Prints for each check: result, check, observation and remedy. Calls KMS with
the tenant's encryption context and with wrong ones; the calls appear in the
tenant's CloudTrail. Changes nothing.

Exit codes:
  0       usable, possibly with warnings
  65      not usable
  69, 75  the check could not run: credentials are invalid, or KMS is throttling
          or failing; try again

Examples:
  sealdex keys check ${EXAMPLE_ARN} --tenant acme
  sealdex keys check ${EXAMPLE_ARN} --tenant newcomer --plan pro --json`,
    )
    .action(check);
}

async function check(arn: string, { tenant, shared, plan, allowOrigin, wide, json: asJson }: Options): Promise<void> {
  checkName(tenant, 'tenant');
  await withOperator(async (operator) => {
    const { canAttach, ...checked } = await operator.checkKey(tenant, arn, {
      shared,
      plan,
      allowOrigin,
      onStep: ({ step, ...found }) => {
        if (asJson) return;
        for (const line of checkLines({ name: step, ...found }, STEP_CHARS, wide === true)) printLine(line);
      },
    });
    if (asJson) printJson({ ...checked, canAttach });
    else printNotice(verdictOf(tenant, canAttach, (await knownTenant(operator, tenant))?.kmsKeyArn === arn));
    if (!canAttach) host().exitCode = CODES.TENANT_KEY_INVALID.exit;
  });
}

function verdictOf(tenant: string, isUsable: boolean, isAttached: boolean): string {
  if (isAttached) return `Tenant ${tenant} ${isUsable ? 'can' : 'cannot'} use its KMS key.`;
  return `The key ${isUsable ? 'can' : 'cannot'} be attached to tenant ${tenant}.`;
}
