// `sealdex status`: queues, processes, keys and KMS calls at a glance.
import { Command } from 'commander';
import type { Status } from '../app.ts';
import { duration, json, out, table, time } from './terminal.ts';

export function statusCommand(): Command {
  return new Command('status')
    .description('queues, oldest waiting job, processes, keys in memory, KMS calls')
    .option('--json', 'one line of JSON')
    .addHelpText('after', '\nExamples:\n  sealdex status\n  sealdex status --json')
    .action(async ({ json: asJson }: { json?: true }) => {
      const { createOperator } = await import('../app.ts');
      const operator = await createOperator();
      try {
        const status = await operator.status();
        if (asJson) json(status);
        else for (const line of linesOf(status)) out(line);
      } finally {
        await operator[Symbol.asyncDispose]();
      }
    });
}

function linesOf({ queue, index, processes, keys, oldestKeyMs, kmsCalls }: Status): string[] {
  const { waiting, active, delayed, dead, oldestWaitingMs } = index;
  const calls = Object.entries(kmsCalls).map(([operation, count]) => `${operation} ${count}`);
  return [
    `Queue ${queue}: ${waiting} waiting, ${active} active, ${delayed} delayed, ${dead} dead` +
      (oldestWaitingMs === undefined ? '' : `; next job has waited ${duration(oldestWaitingMs)}`),
    `Data keys in memory: ${keys}${keys === 0 ? '' : `, oldest ${duration(oldestKeyMs)}`}`,
    `KMS calls since the processes started: ${calls.length === 0 ? 'none' : calls.join(', ')}`,
    ...(processes.length === 0
      ? ['No process is running: start one with sealdex worker.']
      : [
          '',
          ...table([
            ['PROCESS', 'ROLE', 'STARTED', 'KEYS', 'TENANTS'],
            ...processes.map((each) => [
              each.process,
              each.role,
              time(each.started),
              String(each.keys),
              String(each.tenants.length),
            ]),
          ]),
        ]),
  ];
}
