// Jobs as somebody would make them who enqueues past the producer but has its keys: well encrypted, with any fault inside.
import { keyRef } from '../../src/runtime/key-ref.ts';
import { noAudit } from '../../src/runtime/audit-log.ts';
import { systemClock, type Clock } from '../../src/runtime/clock.ts';
import { loadConfig } from '../../src/runtime/config.ts';
import { SealdexError } from '../../src/runtime/errors.ts';
import { putContent, type ContentHeader } from '../../src/intake/intake.ts';
import { newJobId, type IndexJobData } from '../../src/jobs/jobs.ts';
import { createKms } from '../../src/keys/aws/kms-client.ts';
import { KeyRing } from '../../src/keys/key-ring.ts';
import { createSharedKeys } from '../../src/keys/shared-keys.ts';
import { createMetrics } from '../../src/runtime/metrics.ts';
import type { House } from './installation.ts';

export interface ForgeRequest {
  readonly tenant: string;
  readonly keyArn: string;
  readonly body?: string;
  readonly header?: Partial<ContentHeader>;
  readonly inlineBytes?: number;
  /** As it comes in while the tenant's KMS key is unusable. */
  readonly isKeyShut?: boolean;
}

export interface Forged {
  readonly id: string;
  readonly data: IndexJobData;
}

export interface Forge extends Disposable {
  forge(request: ForgeRequest): Promise<Forged>;
}

/** `clock` says which period the content is encrypted in. */
export function openForge(
  { settings, store, redis }: Pick<House, 'settings' | 'store' | 'redis'>,
  clock: Clock = systemClock,
): Forge {
  const config = loadConfig(settings, {});
  const kms = createKms(config, createMetrics(), noAudit, 'patient');
  const shared = createSharedKeys(redis, config.queue, clock);
  const ring = new KeyRing({ clock, kms, shared, use: 'patient' });
  let last = systemClock.now() * 1000;
  return {
    async forge({ tenant, keyArn, body, header, inlineBytes = 1_000_000, isKeyShut = false }) {
      const id = newJobId();
      const revision = (last += 1);
      const said: ContentHeader = {
        v: 1,
        tenant,
        corpus: 'docs',
        job: id,
        kind: 'index',
        revision,
        ifExists: 'replace',
        documentId: `forged ${revision}`,
      };
      const document = {
        type: 'structured',
        id: said.documentId,
        title: 'T',
        sections: [{ title: 'S', text: 'Text.' }],
      };
      const put = await putContent(
        {
          store,
          ring,
          inlineBytes,
          platformKeyArn: config.platformKeyArn,
          refusal: () => (isKeyShut ? new SealdexError('KEY_DISABLED') : undefined),
        },
        { ...keyRef(tenant, keyArn), whenKeyShut: isKeyShut ? 'park' : 'refuse', blocked: new Map() },
        { ...said, ...header },
        Buffer.from(body ?? JSON.stringify(document)),
      );
      const { object, content } = put;
      return { id, data: { v: 1, kind: 'index', tenant, corpus: 'docs', revision, object, content } };
    },
    [Symbol.dispose]() {
      ring.close();
      kms.close();
    },
  };
}
