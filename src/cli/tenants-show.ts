// `sealdex tenants show`: shows one tenant: key, plan, gates, waiting jobs, and the next action.
import { Command } from 'commander';
import type { GateFacts, Operator, PlatformKeyContent, TenantFile } from '../app/app.ts';
import { CODES } from '../runtime/errors.ts';
import { checkName } from '../runtime/names.ts';
import { actionLines, actorOf, toneOf } from './gate-lines.ts';
import { JSON_LINE, TENANT } from './option-texts.ts';
import { factLines, type Fact } from './table.ts';
import { IN_FULL, stopsOf } from './tenant-stops.ts';
import { reencryptionLines, reencryptionViewOf } from './tenants-reencryption.ts';
import { approximateSize } from '../runtime/units.ts';
import { age, counted, printJson, printLine, printNotice, timeAndAge, type Line } from './terminal.ts';
import { withOperator } from './with-clients.ts';

interface TenantView {
  readonly file: TenantFile;
  readonly gates: readonly GateFacts[];
  readonly parked: { readonly jobs: number; readonly oldest?: number };
  readonly deadLetters: number;
  readonly platformKeyContent: PlatformKeyContent;
}

export function showCommand(): Command {
  return new Command('show')
    .description('show a tenant: key, plan, gates, waiting jobs and the next command')
    .argument('<tenant>', TENANT)
    .option('--json', JSON_LINE)
    .addHelpText(
      'after',
      `
Progress of a re-encryption is written to standard error.

Examples:
  sealdex tenants show acme
  sealdex tenants show acme --json`,
    )
    .action(async (tenant: string, { json: asJson }: { json?: true }) => {
      checkName(tenant, 'tenant');
      await withOperator(async (operator) => {
        const file = await operator.tenant(tenant);
        const facts = await readFacts(operator, tenant);
        if (asJson) printJson({ ...file, ...facts });
        else for (const line of tenantLines({ file, ...facts })) printLine(line);
        for (const line of reencryptionLines(await reencryptionViewOf(operator, file))) printNotice(line);
        const stops = stopsOf(file, IN_FULL);
        if (asJson && stops !== '') printNotice(`Tenant ${tenant}: ${stops}.`);
      });
    });
}

async function readFacts(operator: Operator, tenant: string): Promise<Omit<TenantView, 'file'>> {
  const [{ gates }, { parkedByTenant, deadByTenant }, platformKeyContent] = await Promise.all([
    operator.gates({ tenant }),
    operator.status(),
    operator.platformKeyContent(tenant),
  ]);
  const parked = parkedByTenant.find((each) => each.tenant === tenant);
  return {
    gates,
    parked: { jobs: parked?.jobs ?? 0, ...(parked?.oldest === undefined ? {} : { oldest: parked.oldest }) },
    deadLetters: deadByTenant.reduce((sum, each) => sum + (each.tenant === tenant ? each.letters : 0), 0),
    platformKeyContent,
  };
}

const WHEN_SHUT: Record<TenantFile['whenKeyShut'], string> = {
  park: 'new content waits, encrypted under the platform key',
  refuse: 'new content is rejected',
};

const platformKeyText = ({ jobs, bytes }: PlatformKeyContent): string | undefined =>
  jobs === 0 ? undefined : `encrypts the content of ${counted(jobs, 'job')}, ${approximateSize(bytes)}`;

/** All facts of a tenant, then the next action. */
export function tenantLines({ file, gates, parked, deadLetters, platformKeyContent }: TenantView): Line[] {
  const { tenant, plan, kmsKeyArn, formerKeyArns, whenKeyShut, keepOriginals, paused, blockedKeys, deleted } = file;
  const facts = factLines([
    ['tenant', tenant],
    ['plan', plan],
    ['deleted', deleted && timeAndAge(deleted.at)],
    ['key', kmsKeyArn ?? 'platform key'],
    ...formerKeyArns.map((arn): Fact => ['former key', arn]),
    ...(gates.length === 0 ? [['gate', 'open'] as const] : gates.map((gate) => gateFact(gate, kmsKeyArn))),
    ['if shut', kmsKeyArn === undefined ? undefined : WHEN_SHUT[whenKeyShut]],
    ['paused', paused && timeAndAge(paused.since)],
    ...blockedKeys.map(({ arn, since }): Fact => ['blocked key', `${arn}, ${timeAndAge(since)}`]),
    ['originals', keepOriginals ? 'uploaded files are kept, encrypted' : undefined],
    ['parked jobs', `${parked.jobs}${parked.oldest === undefined ? '' : `, oldest ${age(parked.oldest)}`}`],
    ['dead letters', deadLetters],
    ['platform key', platformKeyText(platformKeyContent)],
  ]);
  return [...facts, '', ...todoLines(tenant, gates, deadLetters)];
}

function gateFact(gate: GateFacts, current: string | undefined): Fact {
  const key = current === undefined || gate.keyArn === current ? '' : `, ${gate.keyArn}`;
  return [
    'gate',
    `${gate.state} since ${timeAndAge(gate.since)}: ${CODES[gate.code].description} (${gate.code})${key}`,
    toneOf(gate),
  ];
}

function todoLines(tenant: string, gates: readonly GateFacts[], deadLetters: number): string[] {
  const lines = [
    ...gates.flatMap((gate) => [`Action by: ${actorOf(gate.whoActs)}`, ...actionLines(gate, false)]),
    ...(deadLetters === 0 ? [] : [`Dead letters: sealdex dead list --tenant ${tenant}`]),
  ];
  return lines.length === 0 ? ['No action needed.'] : lines;
}
