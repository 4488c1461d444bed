// The parts of a host application that sealdex uses: logger, audit sink, metrics registry, and its standard output.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createOperator, createProducer, startWorker } from '../../src/app/app.ts';
import type { AuditRecord } from '../../src/runtime/audit-log.ts';
import type { Settings } from '../../src/runtime/config.ts';
import { RAISED_FLAGS } from '../support/deadlines.ts';
import { documentOf } from '../support/documents.ts';
import { eventually } from '../support/eventually.ts';
import { openInstallation, type Installation } from '../journey/installation.ts';

let installation: Installation;
/** Without SEALDEX_AUDIT_LOG. */
let settings: Settings;

beforeAll(async () => {
  installation = await openInstallation();
  settings = { ...installation.settings, SEALDEX_AUDIT_LOG: undefined };
});
afterAll(() => installation[Symbol.asyncDispose]());

const LOCAL = { host: '127.0.0.1', env: {} };

const requestOf = (tenant: string, id: string) => ({
  tenant,
  corpus: 'docs',
  document: documentOf(id, `Text of ${id}.`),
});

function pinoLogger(level = 'info') {
  const lines: Record<string, unknown>[] = [];
  const write = (line: string): void => void lines.push(JSON.parse(line) as Record<string, unknown>);
  return { lines, logger: pino({ level, base: { app: 'shop' } }, { write }) };
}

test('a worker logs to the pino logger of its application', async () => {
  const { lines, logger } = pinoLogger();
  const worker = await startWorker(settings, { ...LOCAL, logger });
  await worker.stop();
  expect(lines[0]).toMatchObject({ app: 'shop', msg: expect.stringContaining('audit log disabled') as string });
  expect(lines).toContainEqual(expect.objectContaining({ app: 'shop', level: 30, msg: 'worker started' }));
});

test('a producer logs to the pino logger of its application', async () => {
  const { lines, logger } = pinoLogger('warn');
  await using producer = await createProducer(settings, { env: {}, logger });
  const key = await installation.tenant('logged');
  installation.services.kms.disable(key);
  await producer.enqueueIndex(requestOf('logged', 'one'));
  expect(lines).toContainEqual(expect.objectContaining({ app: 'shop', tenant: 'logged', code: 'KEY_DISABLED' }));
});

test('an audit sink receives the records of its own process only, and no file is written', async () => {
  const records: AuditRecord[] = [];
  const audit = (record: AuditRecord): void => void records.push(record);
  const { auditFile } = installation.services;
  const file = `${auditFile}.unused`;
  const own = { ...settings, SEALDEX_AUDIT_LOG: file };
  await using operator = await createOperator(own, { env: {}, audit });
  await using producer = await createProducer(own, { env: {}, audit });
  const key = installation.services.kms.createKey();
  await operator.putTenant('audited', { plan: 'pro', kmsKeyArn: key });
  const { jobId } = await producer.enqueueIndex(requestOf('audited', 'one'));
  expect(records).toEqual([
    expect.objectContaining({
      audit: 1,
      operation: 'PutTenant',
      tenant: 'audited',
      settings: { plan: 'pro', whenKeyShut: 'park' },
    }),
    expect.objectContaining({ audit: 1, operation: 'GenerateDataKey', key, job: jobId, result: 'ok' }),
  ]);
  expect(existsSync(file)).toBe(false);
});

test.each([
  [
    'throws',
    () => {
      throw new Error('full');
    },
  ],
  ['rejects', () => Promise.reject(new Error('full'))],
])('a sink that %s costs no document and counts as failed audit writes', async (how, audit) => {
  await using producer = await createProducer(settings, { env: {}, audit });
  await using _worker = await startWorker(settings, { ...LOCAL, audit });
  await installation.tenant(how);
  const { jobId } = await producer.enqueueIndex(requestOf(how, 'one'));
  expect(await installation.end(jobId)).toBe('done');
  const failures = await eventually(async () => {
    const { processes } = await installation.operator.status();
    return processes.reduce((sum, { auditFailures }) => sum + auditFailures, 0) || undefined;
  });
  expect(failures).toBeGreaterThan(0);
});

const APPLICATION = `
  import { createOperator, createProducer, createReader, startWorker } from ${JSON.stringify(new URL('../../src/index.ts', import.meta.url).href)};
  const [settings, kmsKeyArn] = process.argv.slice(1);
  const given = JSON.parse(settings);
  const operator = await createOperator(given);
  const producer = await createProducer(given);
  const reader = await createReader(given);
  const worker = await startWorker(given, { host: '127.0.0.1' });
  await operator.putTenant('quiet', { plan: 'pro', kmsKeyArn });
  const name = { tenant: 'quiet', corpus: 'docs' };
  const document = { type: 'core', id: 'one', document_parts: [{ text: 'One.' }] };
  const { jobId } = await producer.enqueueIndex({ ...name, document });
  let state;
  do ({ state } = await producer.status(jobId)); while (state !== 'done');
  await reader.metadata({ ...name, id: 'one' });
  await worker.stop();
  for (const opened of [reader, producer, operator]) await opened[Symbol.asyncDispose]();
`;

test('an application without logger and audit sink has nothing of sealdex on its standard streams', async () => {
  const args = [
    '--input-type=module',
    '-e',
    APPLICATION,
    JSON.stringify(settings),
    installation.services.kms.createKey(),
  ];
  const env = { PATH: process.env['PATH'], NODE_OPTIONS: RAISED_FLAGS.join(' ') };
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { env });
  expect({ stdout, stderr }).toEqual({ stdout: '', stderr: '' });
});

test('each worker registers its metrics in the registry of its application, and an operator shares it', async () => {
  const [one, other] = [new Registry(), new Registry()];
  await using _operator = await createOperator(settings, { env: {}, registry: one });
  await using worker = await startWorker(settings, { ...LOCAL, registry: one });
  await using _other = await startWorker(settings, { ...LOCAL, registry: other });
  expect(await one.metrics()).toContain('sealdex_ready 1');
  expect(await other.metrics()).toContain('sealdex_ready 1');
  expect(await (await fetch(`http://127.0.0.1:${worker.port}/metrics`)).text()).toContain('sealdex_ready 1');
  expect(await one.metrics()).not.toContain('process_resident_memory_bytes');
});

test('a second worker in the same registry is CONFIG_INVALID while the first one runs', async () => {
  const registry = new Registry();
  const start = () => startWorker(settings, { ...LOCAL, registry });
  const first = await start();
  await expect(start()).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining('a registry of its own to each worker') as string,
  });
  expect(await registry.metrics()).toContain('sealdex_ready 1');
  await first.stop();
  expect(await registry.metrics()).not.toContain('sealdex_ready');
  await using _second = await start();
  expect(await registry.metrics()).toContain('sealdex_ready 1');
});
