// Adapters of AWS that open with their first call: they work like those opened at once, and stay closed once closed.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AWS_ON_FIRST_CALL, loadAws, type AwsAdapters } from '../../src/app/aws.ts';
import { loadConfig, type Config } from '../../src/runtime/config.ts';
import { awsServices, type AwsServices } from '../support/aws-services.ts';

let services: AwsServices;
let config: Config;

beforeAll(async () => {
  services = await awsServices();
  config = loadConfig(services.settings, {});
});

afterAll(() => services[Symbol.asyncDispose]());

describe.each<[string, () => Promise<AwsAdapters>]>([
  ['opened with its first call', () => Promise.resolve(AWS_ON_FIRST_CALL)],
  ['opened at once', loadAws],
])('a store %s', (name, load) => {
  const key = `documents/${name}`;

  test('serves all calls', async () => {
    const store = (await load()).createStore(config, 'prompt');
    expect(await store.put(key, Buffer.from('bytes'), {})).toMatchObject({ kind: 'written' });
    const [head, list] = await Promise.all([store.head(key), store.list(key)]);
    expect([head?.bytes, list.objects.map((object) => object.key)]).toEqual([5, [key]]);
    store.close();
  });

  test('rejects calls after it was closed', async () => {
    const adapters = await load();
    const [used, unused] = [adapters.createStore(config, 'prompt'), adapters.createStore(config, 'prompt')];
    await used.head(key);
    for (const store of [used, unused]) {
      store.close();
      await expect(store.head(key)).rejects.toMatchObject({ code: 'STORE_FAILED' });
    }
  });
});
