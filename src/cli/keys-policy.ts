// `sealdex keys policy`: what a tenant pastes into the policy of its KMS key, or the commands that make such a key.
// Asks nobody: no settings, no AWS.
import { Command } from 'commander';
import { checkName } from '../runtime/names.ts';
import { documentOf } from '../policies/policy-document.ts';
import { isRoleArn, keyCommands, keyPolicy, keyStatements } from '../policies/key-policy.ts';
import { SETTINGS } from '../runtime/settings.ts';
import { UsageError } from './failure.ts';
import { jsonText, printLine, printNotice } from './terminal.ts';
import { host } from './host.ts';

interface Options {
  readonly principal: string;
  readonly tenant: string;
  readonly withoutContext?: true;
  readonly byCondition?: true;
  readonly account?: string;
  readonly commands?: true;
  readonly region?: string;
  readonly multiRegion?: string | true;
  readonly json?: true;
}

export function keysPolicyCommand(): Command {
  return new Command('policy')
    .description("print what a tenant's key policy must allow, to be pasted by the tenant")
    .requiredOption('--principal <role>', 'the ARN of our IAM role')
    .requiredOption('--tenant <name>', 'the tenant that the key is for')
    .option('--without-context', 'do not bind the key to the encryption context of this tenant')
    .option('--by-condition', 'name our account, and the role in a condition: survives a role that is made again')
    .option('--account <id>', "the key's own account: prints a whole policy, which keeps it in control")
    .option('--commands', 'print AWS CLI commands that make such a key, for the shell of the tenant')
    .option('--region <region>', 'with --commands: our region, where the key must be (AWS_REGION, or us-west-2)')
    .option('--multi-region [primary]', 'with --commands: a multi-region key, primary there, replica in our region')
    .option('--json', 'the policy on one line')
    .addHelpText(
      'after',
      `
Standard output is the policy alone. Without --account it has only our two statements, to be added to those
that the key has: a policy of these alone would lock its owner out, and AWS refuses it. Needs no settings.

Examples:
  sealdex keys policy --principal arn:aws:iam::111122223333:role/sealdex --tenant acme
  sealdex keys policy --principal arn:aws:iam::111122223333:role/sealdex --tenant acme --commands > key.sh`,
    )
    .action(print);
}

function print(options: Options): void {
  checkOptions(options);
  const { principal, tenant, withoutContext, byCondition, account, multiRegion } = options;
  const choice = { principal, tenant, withoutContext, byCondition };
  if (options.commands) {
    const region = options.region ?? host().env['AWS_REGION'] ?? SETTINGS.AWS_REGION.byDefault ?? '';
    const primaryRegion = typeof multiRegion === 'string' ? multiRegion : undefined;
    checkRegions(region, primaryRegion);
    printLine(keyCommands({ ...choice, region, primaryRegion, multiRegion: multiRegion !== undefined }));
    printNotice('Run it where AWS commands act for the account that shall own the key. It prints the ARN to attach.');
    return;
  }
  const policy = account === undefined ? documentOf(keyStatements(choice)) : keyPolicy(choice, account);
  printLine(jsonText(policy, options.json ? undefined : 2));
  if (account === undefined)
    printNotice('Add these two statements to those in the policy of the key; do not replace them.');
  else printNotice('This is a whole policy: it replaces that of the key.');
  if (withoutContext)
    printNotice('Without the condition on the encryption context, nothing in it tells tenants apart.');
}

/** @throws UsageError, SealdexError `DOCUMENT_INVALID` for the tenant */
function checkOptions({ principal, tenant, account, commands, region, multiRegion, json }: Options): void {
  if (!isRoleArn(principal))
    throw new UsageError(
      '--principal must be the ARN of an IAM role, arn:aws:iam::ACCOUNT:role/NAME; no user, no session, no account.',
    );
  checkName(tenant, 'tenant');
  if (account !== undefined && !/^\d{12}$/.test(account)) throw new UsageError('--account must be 12 digits.');
  if (commands && (account !== undefined || json))
    throw new UsageError('--commands asks AWS for the account and prints no JSON: leave --account and --json out.');
  if (!commands && (region !== undefined || multiRegion !== undefined))
    throw new UsageError('--region and --multi-region go with --commands.');
}

const REGION = /^[a-z0-9-]{1,40}$/;

function checkRegions(region: string, primary: string | undefined): void {
  if (!REGION.test(region) || (primary !== undefined && !REGION.test(primary)))
    throw new UsageError('A region is a name like us-west-2.');
  if (region === primary) throw new UsageError(`The primary is in ${region} already: leave --multi-region out.`);
}
