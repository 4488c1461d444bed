// `sealdex status`: queues, processes, keys and KMS calls at a glance.
import { Command } from 'commander';
import type { Status } from '../app.ts';
import { withOperator } from './opened.ts';
import { duration, json, out, table, time } from './terminal.ts';

export function statusCommand(): Command {
  return new Command('status')
    .description('queues, oldest waiting job, processes, keys in memory, KMS calls')
    .option('--json', 'one line of JSON')
    .addHelpText(
      'after',
      `
Delayed jobs wait for their next try, dead ones are kept. A process is on the list while it lives,
and at most 10 seconds longer; --json has the tenants whose data keys it holds.

Examples:
  sealdex status
  sealdex status --json`,
    )
    .action(({ json: asJson }: { json?: true }) =>
      withOperator(async (operator) => {
        const status = await operator.status();
        if (asJson) json(status);
        else for (const line of linesOf(status)) out(line);
      }),
    );
}

function linesOf({ queue, index, processes, keys, oldestKeyMs, kmsCalls }: Status): string[] {
  const { waiting, active, delayed, dead, oldestWaitingMs } = index;
  const calls = Object.entries(kmsCalls).map(([operation, count]) => `${operation} ${count}`);
  return [
    `Queue ${queue}: ${waiting} waiting, ${active} active, ${delayed} delayed, ${dead} dead` +
      (oldestWaitingMs === undefined ? '' : `; the next one has waited ${duration(oldestWaitingMs)}`),
    `Data keys in memory: ${keys}${keys === 0 ? '' : `, the oldest for ${duration(oldestKeyMs)}`}`,
    `KMS calls since the processes started: ${calls.length === 0 ? 'none' : calls.join(', ')}`,
    ...(processes.length === 0 ? [] : ['', ...tableOf(processes)]),
    ...(processes.some(({ role }) => role === 'worker')
      ? []
      : ['', 'No worker is running: start one with sealdex worker.']),
  ];
}

const tableOf = (processes: Status['processes']): string[] =>
  table([
    ['PROCESS', 'ROLE', 'PID', 'STARTED', 'KEYS', 'TENANTS'],
    ...processes.map(({ process, role, pid, started, keys, tenants }) =>
      [process, role, pid, time(started), keys, tenants.length].map(String),
    ),
  ]);
