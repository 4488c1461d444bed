// A pass over a tenant's objects that reads only their headers keeps using one connection.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { loadConfig } from '../../src/runtime/config.ts';
import { createStore } from '../../src/store/s3/s3-store.ts';
import { readAll } from '../../src/store/store.ts';
import { getTenantObject, replaceMessage } from '../../src/store/tenant-objects.ts';
import { awsServices } from '../support/aws-services.ts';

const OBJECTS = 40;
const { signal } = new AbortController();

/** Forwards all requests to the endpoint; `connections` counts the connections. */
async function openCountingDoor(endpoint: string) {
  const { hostname, port } = new URL(endpoint);
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer((from) => {
    connections += 1;
    const to = connect(Number(port), hostname);
    for (const socket of [from, to]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => [from, to].forEach((each) => each.destroy()));
    }
    from.pipe(to).pipe(from);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    connections: () => connections,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

test.each([
  ['tombstones', 0],
  ['documents', 2000],
  ['somewhat larger documents', 65_536],
])('%s with unread bodies cost no connection each', async (_name, bytes) => {
  await using services = await awsServices();
  await using door = await openCountingDoor(String(services.settings.AWS_ENDPOINT_URL_S3));
  const store = createStore(loadConfig({ ...services.settings, AWS_ENDPOINT_URL_S3: door.endpoint }, {}), 'patient');
  try {
    const content = randomBytes(bytes);
    await store.put('documents/acme/docs/one', content, { metadata: { revision: '1' } });
    for (let at = 0; at < OBJECTS; at += 1) {
      const stored = await getTenantObject(store, 'documents/acme/docs/one', signal);
      expect(stored).toMatchObject({ bytes, metadata: { revision: '1' } });
      if (at % 2 === 0) stored!.discard();
      else for await (const _chunk of stored!.body) break;
    }
    expect(door.connections()).toBeLessThan(5);
    const stored = await getTenantObject(store, 'documents/acme/docs/one', signal);
    expect((await readAll(stored!)).equals(content)).toBe(true);
  } finally {
    store.close();
  }
});

test('a large body is not read before it is needed, and a missing one never', async () => {
  await using services = await awsServices();
  const store = createStore(loadConfig(services.settings, {}), 'patient');
  try {
    await store.put('originals/acme/large', randomBytes(5_000_000), {});
    const stored = await getTenantObject(store, 'originals/acme/large', signal);
    stored!.discard();
    await expect(readAll(stored!)).rejects.toMatchObject({ code: 'STORE_FAILED' });
    expect(await getTenantObject(store, 'originals/acme/none', signal)).toBeUndefined();
  } finally {
    store.close();
  }
});

test('a write parallel to another one throws: the object may be unchanged', async () => {
  await using services = await awsServices();
  const store = createStore(loadConfig(services.settings, {}), 'patient');
  try {
    const key = 'documents/acme/docs/one';
    await store.put(key, Buffer.from('old'), {});
    const stored = (await store.head(key))!;
    const conflicting = { ...store, put: async () => ({ kind: 'conflict' }) as const };
    await expect(replaceMessage(conflicting, key, stored, Buffer.from('new'), signal)).rejects.toMatchObject({
      code: 'STORE_FAILED',
      reason: 'Conflict',
    });
    expect(await replaceMessage(store, key, stored, Buffer.from('new'), signal)).toBe(true);
    expect(await replaceMessage(store, key, stored, Buffer.from('newer'), signal)).toBe(false);
  } finally {
    store.close();
  }
});
