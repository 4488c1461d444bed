// Audit lines of commands: the command's name, and the caller by its AWS identity.
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { expect, test } from 'vitest';
import { createProducer } from '../../src/app/app.ts';
import { eventually } from '../support/eventually.ts';
import { openScene } from './fixture.ts';
import { jsonOf } from './output.ts';
import { run, start } from './run.ts';

test('a command writes audit lines with its name and the calling user, and keeps its own output unchanged', async () => {
  await using scene = await openScene();
  const key = scene.services.kms.createKey();
  expect((await scene.sealdex(['tenants', 'put', 'acme', '--plan', 'pro'])).code).toBe(0);
  expect((await scene.sealdex(['keys', 'check', key, '--tenant', 'acme'])).code).toBe(0);
  const lines = readFileSync(scene.services.auditFile, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { command?: string })
    // Without the calls of the scene itself.
    .filter(({ command }) => command !== undefined);
  const identity = expect.stringMatching(/^arn:aws:(iam|sts)::/) as string;
  expect(lines[0]).toMatchObject({ operation: 'PutTenant', tenant: 'acme', command: 'tenants put', identity });
  expect(lines.slice(1)).toMatchObject(
    ['DescribeKey', 'GenerateDataKey', 'Encrypt', 'Decrypt', 'ReEncrypt', 'Decrypt', 'GenerateDataKey'].map(
      (operation) => ({
        operation,
        key,
        command: 'keys check',
        identity,
      }),
    ),
  );

  expect(lines.at(-1)).toMatchObject({ contextTenant: 'another-tenant' });

  // The audit log writes to the streams of its process.
  const toStdout = { settings: { ...scene.settings, SEALDEX_AUDIT_LOG: undefined } };
  const { stdout, stderr } = await run(['keys', 'check', key, '--tenant', 'acme', '--json'], toStdout);
  expect(jsonOf(stdout)).toHaveLength(1);
  expect(stderr.match(/"audit":1/g)).toHaveLength(7);
});

test.each([undefined, ''])(
  'a worker with SEALDEX_AUDIT_LOG %j writes its audit lines to standard output',
  async (auditLog) => {
    await using scene = await openScene();
    await using producer = await createProducer(scene.settings);
    await using worker = start(['worker'], { settings: { ...scene.settings, SEALDEX_AUDIT_LOG: auditLog } });
    const document = { type: 'core', id: 'one', document_parts: [{ text: 'One.' }] } as const;
    const { jobId } = await producer.enqueueIndex({ tenant: 'acme', corpus: 'docs', document });
    const line = await eventually(() => /^\{"audit":1,.*\}$/m.exec(worker.stdout())?.[0]);
    expect(JSON.parse(line)).toMatchObject({ tenant: 'acme', operation: 'Decrypt', job: jobId });
  },
);

test('status names the process that cannot write its audit lines', async () => {
  await using scene = await openScene();
  await scene.startWorker();
  await using producer = await createProducer(scene.settings);
  const settings = { ...scene.settings, SEALDEX_AUDIT_LOG: 'stdout' };
  const { auditFile } = scene.services;
  rmSync(auditFile, { force: true });
  mkdirSync(auditFile);
  try {
    const tenant = 'unwritten';
    await scene.operator.putTenant(tenant, { plan: 'pro', kmsKeyArn: scene.services.kms.createKey() });
    await producer.enqueueIndex({
      tenant,
      corpus: 'docs',
      document: { type: 'core', id: 'one', document_parts: [{ text: 'One.' }] },
    });
    const report = await eventually(
      async () => /^Audit log write failures: .*$/m.exec((await scene.sealdex(['status'], { settings })).stdout)?.[0],
    );
    expect(report).toMatch(new RegExp(`: \\d+ in (worker|producer) ${process.pid}`));
  } finally {
    rmSync(auditFile, { recursive: true });
  }
});
