// Forged jobs: a caller with the producer's keys can enqueue them without the producer, validly encrypted, with any error
// inside.
import { systemClock } from '../../src/runtime/clock.ts';
import { SealdexError } from '../../src/runtime/errors.ts';
import { keyRef } from '../../src/runtime/key-ref.ts';
import { putContent, type ContentHeader, type IntakeDeps } from '../../src/intake/intake.ts';
import { newJobId, type IndexJobData } from '../../src/jobs/jobs.ts';

export interface ForgeRequest {
  readonly tenant: string;
  readonly keyArn: string;
  readonly body?: string;
  readonly header?: Partial<ContentHeader>;
  readonly inlineBytes?: number;
  /** As received while the tenant's KMS key is unusable. */
  readonly isKeyShut?: boolean;
}

export interface Forged {
  readonly id: string;
  readonly data: IndexJobData;
}

export interface Forge {
  forge(request: ForgeRequest): Promise<Forged>;
}

/** The clock of the key ring decides the period in which the content is encrypted. */
export function createForge(deps: Pick<IntakeDeps, 'store' | 'queue' | 'ring' | 'platformKeyArn'>): Forge {
  let last = systemClock.now() * 1000;
  return {
    async forge({ tenant, keyArn, body, header, inlineBytes = 1_000_000, isKeyShut = false }) {
      const id = newJobId();
      const revision = (last += 1);
      const fullHeader: ContentHeader = {
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
        id: fullHeader.documentId,
        title: 'T',
        sections: [{ title: 'S', text: 'Text.' }],
      };
      const put = await putContent(
        { ...deps, inlineBytes, refusal: () => (isKeyShut ? new SealdexError('KEY_DISABLED') : undefined) },
        { ...keyRef(tenant, keyArn), whenKeyShut: isKeyShut ? 'park' : 'refuse', blocked: new Map() },
        { ...fullHeader, ...header },
        Buffer.from(body ?? JSON.stringify(document)),
      );
      const { object, content } = put;
      return { id, data: { v: 1, kind: 'index', tenant, corpus: 'docs', revision, object, content } };
    },
  };
}
