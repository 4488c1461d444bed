// `sealdex dev`: local Redis, S3 and KMS and a worker that stay up, for trying the other commands.
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import type { Operator, Settings } from '../../app/app.ts';
import { MissingPrerequisiteError } from '../failure.ts';
import { aborted, untilInterrupted } from '../interrupt.ts';
import { printLine, printNotice } from '../terminal.ts';
import { devKeyCommand } from './dev-key.ts';
import { ENV, exportLines, FOLDER, removeEnv, writeEnv } from './env-file.ts';
import { NEEDS_LOCAL_PACKAGE, orUnavailable } from './local-package.ts';
import { portsFrom, checkPort, type DevPorts } from './ports.ts';

const DATA = join(FOLDER, 'dev');
const FIRST_PORT = 9470;

/** A key that was disabled is noticed, and one that was enabled is used again, while a person watches. */
const PACE: Settings = { SEALDEX_KEY_CHECK_MS: '5s', SEALDEX_PROBE_MIN_MS: '1s', SEALDEX_PROBE_MAX_MS: '15s' };

export function devCommand(): Command {
  return new Command('dev')
    .description('run a local Redis, S3, KMS and worker for development')
    .option('--port <n>', 'first of the four ports; 0: any free ports', parsePort, FIRST_PORT)
    .addCommand(devKeyCommand())
    .addHelpText(
      'after',
      `
Listens on this machine only. The ports are ${FIRST_PORT} (Redis), ${FIRST_PORT + 1} (S3),
${FIRST_PORT + 2} (KMS and STS) and ${FIRST_PORT + 3} (/livez, /readyz and /metrics of the worker).

Stores its state in ${FOLDER}/ in the current directory; delete it to start over.
Press Ctrl-C to stop.

The revocation check runs every 5s, and an unusable key is probed every 1s to
5s. To try a key outage: sealdex dev key --help
${NEEDS_LOCAL_PACKAGE}

Examples:
  sealdex dev
  sealdex dev --port 0
  (in another terminal)  source ${ENV} && sealdex tenants list`,
    )
    .action(({ port }: { port: number }) => untilInterrupted((signal) => run(portsFrom(port), signal)));
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port + 3 > 65_535) throw new InvalidArgumentError('Expected 0 to 65532.');
  return port;
}

async function run(ports: DevPorts, signal: AbortSignal): Promise<void> {
  const { startServices } = await import('./local-services.ts');
  printNotice('Starting Redis, S3 and KMS …');
  const services = await orUnavailable(() => startServices({ dir: DATA, signal, ports })).catch(namePort);
  try {
    const settings = { ...services.settings, ...PACE };
    await makeTenants(settings, () => services.kms.createKey());
    const { startWorker } = await import('../../app/app.ts');
    const { createLog } = await import('../../runtime/log.ts');
    const logger = createLog({ logLevel: 'warn' }, 'worker');
    await checkPort(ports.health).catch(namePort);
    const worker = await startWorker({ ...settings, SEALDEX_PORT: ports.health }, { host: '127.0.0.1', logger });
    try {
      signal.throwIfAborted();
      printSettings(settings, worker.port);
      await aborted(signal);
      printNotice('\nStopping …');
    } finally {
      // The settings are invalid from now on.
      removeEnv();
      await worker.stop();
    }
  } finally {
    await services.stop();
  }
}

/** @throws MissingPrerequisiteError for a port in use; other errors unchanged */
function namePort(error: unknown): never {
  const { code, port } = error as { code?: unknown; port?: unknown };
  if (code !== 'EADDRINUSE') throw error;
  throw new MissingPrerequisiteError(
    `Port ${String(port)} is already in use. Stop the process that uses it, or use any free ports: sealdex dev --port 0`,
  );
}

/** Creates two tenants: one with its own KMS key, one on the platform key. */
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
  writeEnv(settings);
  for (const line of exportLines(settings)) printLine(line);
  printNotice(stepsFor(port));
}

/** Notice after the start; `port` is that of the worker's health. */
export function stepsFor(port: number): string {
  return `
Ready. A worker is running; health: http://127.0.0.1:${port}/readyz
Two tenants exist: acme has its own KMS key, globex uses the platform key.
In another terminal, in this directory, index a document and read it:

  source ${ENV}
  echo '{"type":"structured","id":"hello","sections":[{"text":"Hello, world."}]}' > hello.json
  npx sealdex index --tenant acme --corpus docs --wait hello.json
  npx sealdex read --tenant acme --corpus docs hello

Disable the key as the tenant would, and see that reads fail and jobs wait:

  npx sealdex dev key disable acme
  npx sealdex read --tenant acme --corpus docs hello
  npx sealdex index --tenant acme --corpus docs hello.json
  npx sealdex jobs list
  npx sealdex keys list

Enable it, and see within 15s that the gate opens and the job is done:

  npx sealdex dev key enable acme
  npx sealdex jobs list
  npx sealdex status

Compare the audit log with the log of KMS:

  npx sealdex audit reconcile acme --audit ${DATA}/audit.jsonl --cloudtrail ${DATA}/cloudtrail.jsonl

Press Ctrl-C to stop. State is kept in ${DATA}.`;
}
