// `sealdex keys policy`: prints the statements for a tenant's key policy, or the commands that create such a key.
// Needs no settings, and makes no AWS calls.
import { Command } from 'commander';
import { checkName } from '../runtime/names.ts';
import { documentOf } from '../policies/policy-document.ts';
import { isRoleArn, keyCommands, keyPolicy, keyStatements } from '../policies/key-policy.ts';
import { SETTINGS } from '../runtime/settings.ts';
import { UsageError } from './failure.ts';
import { JSON_LINE } from './option-texts.ts';
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
    .description('print the key policy statements a tenant must add')
    .requiredOption('--principal <role>', 'ARN of the sealdex IAM role')
    .requiredOption('--tenant <name>', 'tenant that owns the key')
    .option('--without-context', 'omit the encryption context condition')
    .option(
      '--by-condition',
      'name the account as principal and the role in a condition, which survives re-creating the role',
    )
    .option('--account <id>', 'account that owns the key; prints a complete policy')
    .option('--commands', 'print AWS CLI commands that create the key')
    .option('--region <region>', 'with --commands: the sealdex region (default: AWS_REGION or us-west-2)')
    .option('--multi-region [primary]', 'with --commands: create a multi-region key with its primary in this region')
    .option('--json', JSON_LINE)
    .addHelpText(
      'after',
      `
Standard output contains only the policy, or with --commands only the script.
Without --account, prints two statements to add to the key's existing policy.
Do not replace the policy with them: that would lock out the key's owner.
Needs no settings.

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
    printNotice("Run the script with AWS credentials of the account that will own the key. It prints the key's ARN.");
    return;
  }
  const policy = account === undefined ? documentOf(keyStatements(choice)) : keyPolicy(choice, account);
  printLine(jsonText(policy, options.json ? undefined : 2));
  if (account === undefined) printNotice('Add these statements to the existing key policy. Do not replace it.');
  else printNotice("This is a complete policy that replaces the key's current policy.");
  if (withoutContext) printNotice('Without the encryption context condition, the policy does not separate tenants.');
}

/** @throws UsageError, SealdexError `DOCUMENT_INVALID` for the tenant */
function checkOptions({ principal, tenant, account, commands, region, multiRegion, json }: Options): void {
  if (!isRoleArn(principal))
    throw new UsageError(
      '--principal must be the ARN of an IAM role (arn:aws:iam::ACCOUNT:role/NAME), not a user, session or account.',
    );
  checkName(tenant, 'tenant');
  if (account !== undefined && !/^\d{12}$/.test(account)) throw new UsageError('--account must be 12 digits.');
  if (commands && (account !== undefined || json))
    throw new UsageError('--commands cannot be combined with --account or --json.');
  if (!commands && (region !== undefined || multiRegion !== undefined))
    throw new UsageError('--region and --multi-region require --commands.');
}

const REGION = /^[a-z0-9-]{1,40}$/;

function checkRegions(region: string, primary: string | undefined): void {
  if (!REGION.test(region) || (primary !== undefined && !REGION.test(primary)))
    throw new UsageError('Invalid region: expected a name such as us-west-2.');
  if (region === primary) throw new UsageError(`The primary region is already ${region}. Remove --multi-region.`);
}
