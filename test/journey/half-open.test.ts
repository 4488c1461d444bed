// A worker with 1,024 file descriptors whose health port gets more connections without a request than that.
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { documentOf } from '../support/documents.ts';
import { metricsOf, openInstallation } from './installation.ts';
import { startWorkerChild } from './worker-child.ts';

/** Opens connections that each send half a request; `opened` is how many were established. */
function holdHalfOpen(port: number, count: number): Disposable & { opened(): number } {
  let opened = 0;
  const sockets = Array.from({ length: count }, () => {
    const socket = connect(port, '127.0.0.1', () => {
      opened += 1;
      socket.write('GET /livez HTTP/1.1\r\n');
    });
    return socket.on('error', () => {});
  });
  return {
    opened: () => opened,
    [Symbol.dispose]: () => {
      for (const socket of sockets) socket.destroy();
    },
  };
}

test('a worker with 1,024 file descriptors stays healthy and finishes jobs with 1,100 half-open connections', async () => {
  await using installation = await openInstallation({ SEALDEX_INLINE_BYTES: 0 });
  await installation.tenant('acme');
  await using worker = await startWorkerChild(installation.settings, 1024);
  const port = await worker.ready;
  using held = holdHalfOpen(port, 1100);
  await eventually(() => held.opened() === 1100);
  const jobs = await Promise.all(
    Array.from({ length: 40 }, (_, at) =>
      installation.producer.enqueueIndex({ tenant: 'acme', corpus: 'docs', document: documentOf(`d${at}`, 'Text.') }),
    ),
  );
  for (const { jobId } of jobs) expect(await installation.end(jobId)).toBe('done');
  for (const path of ['livez', 'readyz']) expect((await fetch(`http://127.0.0.1:${port}/${path}`)).status).toBe(200);
  expect(await metricsOf(port, 'sealdex_job_failures_total')).toEqual({});
  const problems = worker.log().filter(({ level, msg }) => Number(level) >= 40 && !String(msg).includes('(AOF)'));
  expect(problems).toEqual([]);
});
