// Content received while the gates are unknown, and content opened for the wrong tenant.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { loadConfig, type Config } from '../../src/runtime/config.ts';
import { SealdexError } from '../../src/runtime/errors.ts';
import { openContent, putContent, type ContentHeader, type IntakeDeps } from '../../src/intake/intake.ts';
import { openGates, UNKNOWN_MS, type Gates } from '../../src/parking/gate.ts';
import { silentLog } from '../../src/runtime/log.ts';
import { closeRedis, openRedis, redisKeys } from '../../src/runtime/redis.ts';
import { FakeClock } from '../support/clock.ts';
import { eventually } from '../support/eventually.ts';
import { setGate, SHUT_AT } from '../support/gate.ts';
import { testServices, type TestServices } from '../support/services.ts';
import { expectedOf, headerOf, openIntake, tenantOf, type Intake } from './fixture.ts';

let services: TestServices;
let config: Config;
let intake: Intake;
const opened = new AsyncDisposableStack();

beforeAll(async () => {
  services = opened.use(await testServices());
  config = loadConfig(services.settings, {});
  intake = opened.use(await openIntake(services));
});
afterEach(() => services.kms.faults.clear());
afterAll(() => opened.disposeAsync());

const BODY = Buffer.from('{"title":"Wanderlust"}');

interface Open {
  readonly clock: FakeClock;
  readonly gates: Gates;
  readonly put: (header: ContentHeader, keyArn: string, whenKeyShut: 'park' | 'refuse') => Promise<unknown>;
  /** Ends the connection that reads the gates. */
  readonly cut: () => void;
}

async function open(): Promise<Open> {
  const clock = new FakeClock();
  const redis = opened.adopt(await openRedis(config, 'prompt'), closeRedis);
  const subscriber = opened.adopt(await openRedis(config, 'subscriber'), closeRedis);
  const keys = redisKeys(config.queue);
  const gates = await openGates({ redis, subscriber, keys, clock, times: config, log: silentLog });
  opened.defer(() => gates.stop());
  const deps: IntakeDeps = { ...intake.deps(0), refusal: gates.refusal };
  const put = (header: ContentHeader, keyArn: string, whenKeyShut: 'park' | 'refuse') =>
    putContent(deps, tenantOf(header.tenant, keyArn, whenKeyShut), header, BODY);
  return { clock, gates, put, cut: () => redis.disconnect() };
}

test("gates unread for 5 s reject content as GATE_UNKNOWN, regardless of the tenant's setting", async () => {
  const { clock, gates, put, cut } = await open();
  const keyArn = services.kms.createKey();
  cut();
  clock.advance(UNKNOWN_MS);
  await put(headerOf(), keyArn, 'park');
  clock.advance(1);
  await expect(gates.tick()).rejects.toMatchObject({ code: 'REDIS_FAILED' });
  services.kms.counts.reset();
  services.s3.requests.reset();
  for (const choice of ['park', 'refuse'] as const)
    await expect(put(headerOf(), keyArn, choice)).rejects.toMatchObject({ code: 'GATE_UNKNOWN' });
  expect([services.kms.counts.all(), services.s3.requests.all()]).toEqual([[], {}]);
});

test('a gate shut before the gates became unknown rejects as unknown: it may be open by now', async () => {
  const { clock, put, cut } = await open();
  const keyArn = services.kms.createKey();
  const other = await openRedis(config, 'prompt');
  await setGate({ redis: other, queue: config.queue }, 'acme', keyArn);
  closeRedis(other);
  const refused = { code: 'KEY_DISABLED', keyArn, since: SHUT_AT };
  await eventually(() =>
    put(headerOf(), keyArn, 'refuse').then(
      () => false,
      (error: SealdexError) => error.code === refused.code,
    ),
  );
  await expect(put(headerOf(), keyArn, 'refuse')).rejects.toMatchObject(refused);
  cut();
  clock.advance(UNKNOWN_MS + 1);
  await expect(put(headerOf(), keyArn, 'refuse')).rejects.toMatchObject({ code: 'GATE_UNKNOWN' });
});

test('content under the platform key opens for the job of its tenant, and is rejected for another tenant without a KMS call', async () => {
  const platform = intake.platformArn;
  const deps: IntakeDeps = { ...intake.deps(1_000_000), refusal: () => new SealdexError('KEY_DISABLED') };
  const keyArn = services.kms.createKey();
  const header = headerOf();
  const { content } = await putContent(deps, tenantOf('acme', keyArn, 'park'), header, BODY);
  const message = Buffer.from('inline' in content ? content.inline : '', 'base64');
  const allowed = (tenant: string, intakeArns?: Set<string>) => ({
    tenant,
    readableArns: new Set([keyArn]),
    blocked: new Map(),
    ...(intakeArns ? { intakeArns } : {}),
  });
  const opening = (tenant: string, intakeArns?: Set<string>) =>
    openContent(deps.ring, allowed(tenant, intakeArns), { ...expectedOf(header), tenant }, message);
  expect(await opening('acme', new Set([platform]))).toEqual({ header, body: BODY });
  services.kms.counts.reset();
  const refused = (reason: string) => ({ code: 'CONTENT_TAMPERED', reason });
  await expect(opening('globex', new Set([platform]))).rejects.toMatchObject(refused('context'));
  // Content in intake cannot be read as a document, nor under any other key.
  await expect(opening('acme')).rejects.toMatchObject(refused('context'));
  await expect(opening('acme', new Set([services.kms.createKey()]))).rejects.toMatchObject(refused('foreign-key'));
  expect(services.kms.counts.all().filter(({ operation }) => operation !== 'CreateKey')).toEqual([]);
});
