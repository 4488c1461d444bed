// `sealdex keys probe`, `release`, `block` and `unblock`: for one tenant of a KMS key, or for all of them.
// Prints one line per tenant; an error of one tenant does not stop the others.
import { Command } from 'commander';
import type { GateChange, Operator } from '../app/app.ts';
import { CODES, SealdexError } from '../runtime/errors.ts';
import { checkName } from '../runtime/names.ts';
import { checkArn, checkReason } from './arguments.ts';
import { textOf } from './failure.ts';
import { withOperator } from './with-clients.ts';
import { EXAMPLE_ARN, jsonLines, KEY_ARN, REASON } from './option-texts.ts';
import { exitOf, probeLine } from './probe-line.ts';
import { printJson, printLine, printNotice } from './terminal.ts';
import { host } from './host.ts';

interface Options {
  readonly tenant?: string;
  readonly json?: true;
}

interface TenantResult {
  readonly facts: object;
  readonly line: string;
  readonly exit?: number;
}

interface Owner {
  readonly tenant: string;
  readonly error?: SealdexError;
  readonly deleted?: true;
  /** The change that was made. */
  readonly change?: GateChange;
}

type Owners = AsyncIterable<Owner> | readonly Owner[];

type Each = (operator: Operator, tenant: string, keyArn: string, change?: GateChange) => Promise<TenantResult>;

const command = (name: string, does: string): Command =>
  new Command(name)
    .description(does)
    .argument('<arn>', KEY_ARN)
    .option('--tenant <name>', 'only this tenant; default: every tenant of the key')
    .option('--json', jsonLines('tenant'));

export function probeCommand(): Command {
  return command('probe', 'probe a KMS key now')
    .addHelpText(
      'after',
      `
Makes the same KMS calls as a worker's probe. Two consecutive successes open the
gate; a worker makes the second probe a few seconds later.

Exit codes:
  0      KMS accepted the key
  other  exit code of the error (see docs/codes.md)

Example:
  sealdex keys probe ${EXAMPLE_ARN}`,
    )
    .action((text: string, options: Options) =>
      forEachShutGate(text, options, async (operator, tenant, keyArn) => {
        const answer = await operator.probe(tenant, keyArn);
        return { facts: answer, line: probeLine(answer), exit: exitOf(answer) };
      }),
    );
}

export const releasedLine = (tenant: string): string => `Releasing the parked jobs of tenant ${tenant}.`;

export function releaseCommand(): Command {
  return command('release', 'force a shut gate open without a probe')
    .addHelpText(
      'after',
      `
Workers release the parked jobs immediately, without a probe. If KMS denies the
key again, the gate shuts again and no job is lost. Blocked keys and paused
tenants are not released; use unblock or resume.

Example:
  sealdex keys release ${EXAMPLE_ARN}`,
    )
    .action((text: string, options: Options) =>
      forEachShutGate(text, options, async (operator, tenant, keyArn) => {
        const change = await operator.release(tenant, keyArn);
        return { facts: change, line: change.changed ? releasedLine(tenant) : staysLine(change) };
      }),
    );
}

export function blockCommand(): Command {
  return command('block', 'block a KMS key until it is unblocked')
    .requiredOption('--reason <text>', REASON)
    .addHelpText(
      'after',
      `
Parks the jobs and erases the key's data keys from memory at once. The block is
stored in the tenant's file, survives the loss of Redis and is not lifted by
probes. Without --tenant, blocks the key for every tenant that uses or used it.
A blocked key cannot be attached to another tenant, not even with --shared.

Example:
  sealdex keys block ${EXAMPLE_ARN} --reason "incident 4711"`,
    )
    .action((text: string, options: Options & { readonly reason: string }) => {
      const reason = checkReason(options.reason);
      const each: Each = async (operator, tenant, keyArn, done) => {
        const change = done ?? (await operator.block(tenant, keyArn, reason));
        const way = `sealdex keys unblock ${keyArn} --tenant ${tenant}`;
        return { facts: change, line: `Blocked for tenant ${tenant}; its jobs are parked. To unblock: ${way}` };
      };
      return forEachKeyTenant(text, options, each, (operator, keyArn) => operator.blockOwners(keyArn, reason));
    });
}

export function unblockCommand(): Command {
  return command('unblock', 'unblock a KMS key')
    .addHelpText(
      'after',
      `
Releases the parked jobs. If KMS still denies the key, the gate shuts again.

Example:
  sealdex keys unblock ${EXAMPLE_ARN}`,
    )
    .action((text: string, options: Options) =>
      forEachKeyTenant(text, options, async (operator, tenant, keyArn) => {
        const change = await operator.unblock(tenant, keyArn);
        if (!change.changed) return { facts: change, line: `Tenant ${tenant}: the key is not blocked.` };
        const isShut = change.gate !== undefined && change.gate.state !== 'draining';
        const rest = isShut ? staysLine(change) : releasedLine(tenant);
        return { facts: change, line: `Unblocked for tenant ${tenant}. ${rest}` };
      }),
    );
}

/** The line for a gate that was not released. */
export function staysLine({ tenant, gate }: GateChange): string {
  if (!gate || gate.state === 'draining') return `Tenant ${tenant}: the gate is already open.`;
  const [way] = gate.commands;
  const hint = gate.whoActs === 'operator' && way !== undefined ? ` Next: ${way}` : '';
  return `Tenant ${tenant}: the gate stays shut because ${CODES[gate.code].description} (${gate.code}).${hint}`;
}

/** Runs `each` for every shut gate of the key, without reading the tenant files. */
async function forEachShutGate(text: string, options: Options, each: Each): Promise<void> {
  const keyArn = checkArn(text);
  const tenant = options.tenant === undefined ? undefined : checkName(options.tenant, 'tenant');
  await withOperator(async (operator) => {
    const { gates } = await operator.gates({ tenant, keyArn });
    const shut = gates.filter(({ state }) => state !== 'draining');
    const nothing = `No shut gate for KMS key ${keyArn}${tenant === undefined ? '' : ` and tenant ${tenant}`}.`;
    await forEachTenant(operator, keyArn, shut, each, { asJson: options.json, isOne: shut.length === 1, nothing });
  });
}

/** Runs `each` for every tenant that has or had the key. */
async function forEachKeyTenant(
  text: string,
  options: Options,
  each: Each,
  all = (operator: Operator, keyArn: string): Owners => operator.tenantsOf(keyArn),
): Promise<void> {
  const keyArn = checkArn(text);
  const tenant = options.tenant === undefined ? undefined : checkName(options.tenant, 'tenant');
  await withOperator(async (operator) => {
    const owners = tenant === undefined ? all(operator, keyArn) : [{ tenant }];
    const nothing = `The KMS key ${keyArn} does not belong to a tenant.`;
    await forEachTenant(operator, keyArn, owners, each, { asJson: options.json, isOne: tenant !== undefined, nothing });
  });
}

interface Way {
  readonly asJson: true | undefined;
  /** An error of the only tenant is the error of the command. */
  readonly isOne: boolean;
  readonly nothing: string;
}

async function forEachTenant(
  operator: Operator,
  keyArn: string,
  owners: Owners,
  each: Each,
  { asJson, isOne, nothing }: Way,
): Promise<void> {
  let met = 0;
  for await (const { tenant, error, deleted, change } of owners) {
    if (deleted) continue;
    met += 1;
    try {
      if (error) throw error;
      const { facts, line, exit = 0 } = await each(operator, tenant, keyArn, change);
      if (asJson) printJson(facts);
      else printLine(line);
      if (exit !== 0) host().exitCode = exit;
    } catch (fault) {
      if (isOne || !(fault instanceof SealdexError)) throw fault;
      if (asJson) printJson({ tenant, keyArn, code: fault.code, message: fault.message });
      else printNotice(`Tenant ${tenant}: ${textOf(fault)}`);
      host().exitCode = CODES[fault.code].exit;
    }
  }
  if (met > 0) return;
  printNotice(nothing);
  host().exitCode = CODES.NOT_FOUND.exit;
}
