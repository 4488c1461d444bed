// A key ring on the local KMS and the run's Redis, and one piece of content with its job.
import { keyRef } from '../../src/runtime/key-ref.ts';
import { noAudit } from '../../src/runtime/audit-log.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { loadConfig } from '../../src/runtime/config.ts';
import type { ContentTenant, ContentHeader, ExpectedContent, IntakeDeps } from '../../src/intake/intake.ts';
import { newJobId } from '../../src/jobs/jobs.ts';
import { KeyRing } from '../../src/keys/key-ring.ts';
import { createKms } from '../../src/keys/aws/kms-client.ts';
import { createSharedKeys } from '../../src/keys/shared-keys.ts';
import { createMetrics } from '../../src/runtime/metrics.ts';
import { closeRedis, openRedis } from '../../src/runtime/redis.ts';
import { objectName } from '../../src/runtime/names.ts';
import { createStore } from '../../src/store/s3/s3-store.ts';
import type { TestServices } from '../support/services.ts';

export interface Intake extends AsyncDisposable {
  readonly deps: (inlineBytes: number) => IntakeDeps;
  readonly platformArn: string;
}

export async function openIntake(services: TestServices): Promise<Intake> {
  const config = loadConfig(services.settings, {});
  const redis = await openRedis(config, 'patient');
  const store = createStore(config, 'patient');
  const kms = createKms(config, createMetrics(), noAudit, 'patient');
  const shared = createSharedKeys(redis, config.queue, systemClock);
  const ring = new KeyRing({ clock: systemClock, kms, shared, use: 'patient' });
  return {
    deps: (inlineBytes) => ({
      store,
      queue: config.queue,
      ring,
      inlineBytes,
      platformKeyArn: config.platformKeyArn,
      refusal: () => undefined,
    }),
    platformArn: config.platformKeyArn,
    async [Symbol.asyncDispose]() {
      ring.close();
      kms.close();
      store.close();
      closeRedis(redis);
      await Promise.resolve();
    },
  };
}

/** A tenant for content tests; its content is rejected while its KMS key is unusable, unless set otherwise. */
export const tenantOf = (
  tenant: string,
  keyArn: string,
  whenKeyShut: ContentTenant['whenKeyShut'] = 'refuse',
): ContentTenant => ({ ...keyRef(tenant, keyArn), whenKeyShut, blocked: new Map() });

export const headerOf = (over: Partial<ContentHeader> = {}): ContentHeader => ({
  v: 1,
  tenant: 'acme',
  corpus: 'books',
  job: newJobId(),
  kind: 'index',
  revision: 1795461684317284,
  ifExists: 'replace',
  documentId: 'chapter é',
  ...over,
});

export const expectedOf = (header: ContentHeader): ExpectedContent => ({
  id: header.job,
  tenant: header.tenant,
  corpus: header.corpus,
  kind: header.kind,
  revision: header.revision,
  object: objectName(header.documentId),
});
