// `sealdex status`: queues, parked and dead jobs by tenant, processes, keys and KMS calls at a glance.
import { Command } from 'commander';
import type { Status } from '../app/app.ts';
import { missingWorkerLines } from './missing-worker.ts';
import { withOperator } from './with-clients.ts';
import { JSON_OBJECT, WIDE } from './option-texts.ts';
import { tableLines, type Column } from './table.ts';
import { age, counted, printJson, printLine, time, toned, type Line } from './terminal.ts';
import { approximateDuration, approximateSize } from '../runtime/units.ts';

export function statusCommand(): Command {
  return new Command('status')
    .description('show queues, parked and dead jobs, processes and KMS usage')
    .option('--wide', WIDE)
    .option('--json', JSON_OBJECT)
    .addHelpText(
      'after',
      `
Delayed jobs wait for a retry; parked jobs wait for a KMS key. A stopped process
disappears from the list within 10s. --json adds the tenants whose data keys
each process holds.

Examples:
  sealdex status
  sealdex status --json`,
    )
    .action(({ wide, json: asJson }: { wide?: true; json?: true }) =>
      withOperator(async (operator) => {
        const status = await operator.status();
        if (asJson) printJson(status);
        else for (const line of statusLines(status, wide === true)) printLine(line);
      }),
    );
}

const countsIn = ({ waiting, active, delayed, dead, oldestWaitingMs }: Status['index']): string =>
  `${waiting} waiting, ${active} active, ${delayed} delayed, ${dead} dead` +
  (oldestWaitingMs === undefined ? '' : `; oldest waiting ${approximateDuration(oldestWaitingMs)}`);

type Process = Status['processes'][number];

const PROCESS_COLUMNS: Column<Process>[] = [
  { title: 'PROCESS', text: ({ process }) => process },
  { title: 'ROLE', text: ({ role }) => role },
  { title: 'VERSION', text: ({ version = '-' }) => version, cut: 'end' },
  { title: 'PID', text: ({ pid }) => String(pid) },
  { title: 'AGE', only: 'narrow', text: ({ started }) => age(started) },
  { title: 'STARTED', only: 'wide', text: ({ started }) => time(started) },
  { title: 'KEYS', text: ({ keys }) => String(keys) },
  { title: 'TENANTS', text: ({ tenants }) => String(tenants.length) },
];

interface TroubledTenant {
  readonly tenant: string;
  readonly jobs: number;
  readonly oldest: number | undefined;
  readonly letters: number;
}

const TENANT_COLUMNS: Column<TroubledTenant>[] = [
  { title: 'TENANT', text: ({ tenant }) => tenant, cut: 'middle' },
  { title: 'PARKED', text: ({ jobs }) => String(jobs) },
  {
    title: 'OLDEST',
    text: ({ oldest }) => (oldest === undefined ? '-' : age(oldest)),
  },
  { title: 'DEAD', text: ({ letters }) => String(letters) },
];

/** Output of `sealdex status` for people. */
export function statusLines(status: Status, isWide: boolean): Line[] {
  const { queue, index, upload, processes, keys, oldestKeyMs, kmsCalls, parkedByTenant } = status;
  const parked = parkedByTenant.reduce((sum, { jobs }) => sum + jobs, 0);
  const calls = Object.entries(kmsCalls).map(([operation, count]) => `${operation} ${count}`);
  return [
    `Queue ${queue}: ${countsIn(index)}`,
    `Uploads: ${countsIn(upload)}`,
    ...(parked === 0 ? [] : [`${parked} of the delayed jobs ${parked === 1 ? 'is' : 'are'} parked`]),
    ...platformKeyLines(status),
    `Data keys in memory: ${keys}${keys === 0 ? '' : `, the oldest for ${approximateDuration(oldestKeyMs)}`}`,
    `KMS calls by running processes: ${calls.length === 0 ? 'none' : calls.join(', ')}`,
    ...auditLines(processes),
    ...(processes.length === 0 ? [] : ['', ...tableLines(PROCESS_COLUMNS, processes, isWide)]),
    ...tenantLines(status, isWide),
    ...workerLines(status),
  ];
}

function platformKeyLines({ platformKeyContent: { jobs, bytes } }: Status): string[] {
  if (jobs === 0) return [];
  return [
    `Content under the platform key while tenants' keys are unusable: ${counted(jobs, 'job')}, ${approximateSize(bytes)}`,
  ];
}

function workerLines(status: Status): Line[] {
  const lines = missingWorkerLines(status, status.upload.waiting > 0);
  return lines.length === 0 ? [] : ['', ...lines.map((line) => toned(line, 'warn'))];
}

/** Lines about processes that could not write to the audit log, and wrote to standard error instead. */
function auditLines(processes: Status['processes']): Line[] {
  const failing = processes.filter(({ auditFailures }) => auditFailures > 0);
  if (failing.length === 0) return [];
  const each = failing.map(({ role, pid, auditFailures }) => `${auditFailures} in ${role} ${pid}`);
  return [toned(`Audit log write failures: ${each.join(', ')}. See docs/runbooks/audit-log.md`, 'fail')];
}

const TENANTS = 20;

/** The tenants with the most parked jobs and dead letters. */
function tenantLines({ parkedByTenant, deadByTenant }: Status, isWide: boolean): string[] {
  const dead = new Map<string, number>();
  for (const { tenant = '?', letters } of deadByTenant) dead.set(tenant, (dead.get(tenant) ?? 0) + letters);
  const parked = new Map(parkedByTenant.map((count) => [count.tenant, count]));
  const troubled = [...new Set([...parked.keys(), ...dead.keys()])].map((tenant): TroubledTenant => ({
    tenant,
    jobs: parked.get(tenant)?.jobs ?? 0,
    oldest: parked.get(tenant)?.oldest,
    letters: dead.get(tenant) ?? 0,
  }));
  if (troubled.length === 0) return [];
  const most = troubled.toSorted((one, other) => other.jobs + other.letters - one.jobs - one.letters);
  return [
    '',
    ...tableLines(TENANT_COLUMNS, most.slice(0, TENANTS), isWide),
    ...(most.length > TENANTS ? [`${most.length - TENANTS} more tenants not shown; use --json`] : []),
    ...(parked.size > 0 ? ['Parked jobs: see sealdex keys list'] : []),
    ...(dead.size > 0 ? ['Dead letters: see sealdex dead list'] : []),
  ];
}
