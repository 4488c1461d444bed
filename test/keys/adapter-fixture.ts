// Key rings on the adapter over a local KMS, with data keys shared in memory.
import type { KmsServer } from '@sealdex/local-aws';
import { createKms } from '../../src/keys/aws/kms-client.ts';
import { noAudit } from '../../src/runtime/audit-log.ts';
import type { Config } from '../../src/runtime/config.ts';
import { createMetrics, type Metrics } from '../../src/runtime/metrics.ts';
import { openLocalKms } from '../support/local-kms.ts';
import { memorySharedKeys } from '../support/memory-shared-keys.ts';
import { fixtureOf, type OneRing, type RingOptions, type Fixture } from './fixture.ts';

export interface AdapterFixture extends Fixture<KmsServer> {
  readonly config: Config;
  open(options?: RingOptions): Promise<OneRing & { readonly metrics: Metrics }>;
}

export async function openAdapterFixture(): Promise<AdapterFixture> {
  const local = await openLocalKms();
  const { kms, config } = local;
  const connect = (use: 'patient' | 'prompt', metrics = createMetrics()) => createKms(config, metrics, noAudit, use);
  const fixture = fixtureOf(kms, config.platformKeyArn, { connect, shared: memorySharedKeys() });
  return {
    ...fixture,
    config,
    async open(options = {}) {
      const metrics = createMetrics();
      const one = await fixture.open({ kms: connect(options.use ?? 'patient', metrics), ...options });
      return { ...one, metrics };
    },
    async [Symbol.asyncDispose]() {
      await fixture[Symbol.asyncDispose]();
      await local[Symbol.asyncDispose]();
    },
  };
}
