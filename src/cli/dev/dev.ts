// `sealdex dev`: local Redis, S3 and KMS and a worker that stay up, for trying the other commands.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import type { Operator, Settings } from '../../app/app.ts';
import { aborted, untilInterrupted } from '../interrupt.ts';
import { printLine, printNotice } from '../terminal.ts';
import { NEEDS_LOCAL_PACKAGE, orUnavailable } from './local-package.ts';

const FOLDER = '.sealdex';
const DATA = join(FOLDER, 'dev');
const ENV = join(FOLDER, 'env');

export function devCommand(): Command {
  return new Command('dev')
    .description('run a local Redis, S3, KMS and worker for development')
    .addHelpText(
      'after',
      `
Stores its state in ${FOLDER}/ in the current directory; delete it to start over.
Press Ctrl-C to stop.
${NEEDS_LOCAL_PACKAGE}

Example:
  sealdex dev
  (in another terminal)  source ${ENV} && sealdex tenants list`,
    )
    .action(() => untilInterrupted(run));
}

async function run(signal: AbortSignal): Promise<void> {
  const { startServices } = await import('./local-services.ts');
  printNotice('Starting Redis, S3 and KMS …');
  const services = await orUnavailable(() => startServices({ dir: DATA, signal }));
  try {
    const settings = { ...services.settings, SEALDEX_PORT: 0 };
    await makeTenants(settings, () => services.kms.createKey());
    const { startWorker } = await import('../../app/app.ts');
    const { createLog } = await import('../../runtime/log.ts');
    const logger = createLog({ logLevel: 'warn' }, 'worker');
    const worker = await startWorker(settings, { host: '127.0.0.1', logger });
    try {
      signal.throwIfAborted();
      printSettings(services.settings, worker.port);
      await aborted(signal);
      printNotice('\nStopping …');
    } finally {
      // The settings lead nowhere from now on.
      rmSync(ENV, { force: true });
      await worker.stop();
    }
  } finally {
    await services.stop();
  }
}

/** Two tenants to begin with: one with a KMS key of its own, one on the platform key. */
async function makeTenants(settings: Settings, createKey: () => string): Promise<void> {
  const { createOperator } = await import('../../app/app.ts');
  const operator = await createOperator(settings);
  try {
    const names = await namesOf(operator);
    if (!names.includes('acme'))
      await operator.putTenant('acme', { plan: 'pro', kmsKeyArn: createKey(), whenKeyShut: 'park' });
    if (!names.includes('globex')) await operator.putTenant('globex', { plan: 'free' });
  } finally {
    await operator[Symbol.asyncDispose]();
  }
}

async function namesOf(operator: Operator): Promise<string[]> {
  const names: string[] = [];
  for await (const name of operator.tenantNames()) names.push(name);
  return names;
}

function printSettings(settings: Settings, port: number): void {
  const lines = Object.entries(settings).map(([name, value]) => `export ${name}='${String(value)}'`);
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(ENV, `${lines.join('\n')}\n`, { mode: 0o600 });
  for (const line of lines) printLine(line);
  printNotice(`
Ready. A worker is running; health: http://127.0.0.1:${port}/readyz
Two tenants exist: acme has its own KMS key, globex uses the platform key.
In another terminal, in this directory, run for example:

  source ${ENV}
  echo '{"type":"structured","id":"hello","sections":[{"text":"Hello, world."}]}' > hello.json
  npx sealdex index --tenant acme --corpus docs --wait hello.json
  npx sealdex read --tenant acme --corpus docs hello
  npx sealdex status
  npx sealdex audit reconcile acme --audit ${DATA}/audit.jsonl --cloudtrail ${DATA}/cloudtrail.jsonl

Press Ctrl-C to stop. State is kept in ${DATA}.`);
}
