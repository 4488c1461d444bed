// Intake keys: the place of a job's content in S3 (contract). A listing holds all that is needed to add the job again.
import { INTAKE_ID, isJobId, NAME, OBJECT_NAME, QUEUE } from './names.ts';

/** Content of a job in S3. */
export interface IntakePlace {
  readonly tenant: string;
  readonly jobId: string;
  /** SEALDEX_QUEUE of the installation: two installations may share a bucket. */
  readonly queue: string;
  /** A kind of job; a newer producer may have written one that this version does not run. */
  readonly kind: string;
  readonly revision: number;
  /** sha256 of the document id, in hex. */
  readonly object: string;
  readonly corpus: string;
  /** 16 random hex digits: two attempts to enqueue one job never share an object. */
  readonly intake: string;
}

/** Content whose key was written by an earlier version. It names neither the installation nor the document. */
export type OldIntakePlace = Pick<IntakePlace, 'tenant' | 'jobId' | 'intake'>;

/** `<tenant>/<job id>/<queue>/<kind>/<revision>/<object>/<corpus>/<16 hex>`: at most 300 characters. */
export const intakeName = (place: IntakePlace): string =>
  [place.tenant, place.jobId, place.queue, place.kind, place.revision, place.object, place.corpus, place.intake].join(
    '/',
  );

/** `<tenant>/<job id>/<16 hex>` */
export const oldIntakeName = ({ tenant, jobId, intake }: OldIntakePlace): string => `${tenant}/${jobId}/${intake}`;

export const isNewPlace = (place: IntakePlace | OldIntakePlace): place is IntakePlace => 'queue' in place;

const KIND = /^[a-z]{1,20}$/;
const REVISION = /^[1-9]\d{0,15}$/;

/** Returns undefined for a foreign name. */
export function intakePlaceOf(name: string): IntakePlace | OldIntakePlace | undefined {
  const parts = name.split('/');
  const [tenant = '', jobId = ''] = parts;
  const intake = parts.at(-1) ?? '';
  if (!NAME.test(tenant) || !isJobId(jobId) || !INTAKE_ID.test(intake)) return undefined;
  if (parts.length === 3) return { tenant, jobId, intake };
  const [, , queue = '', kind = '', revision = '', object = '', corpus = ''] = parts;
  const isOurs =
    parts.length === 8 &&
    QUEUE.test(queue) &&
    KIND.test(kind) &&
    REVISION.test(revision) &&
    Number.isSafeInteger(Number(revision)) &&
    OBJECT_NAME.test(object) &&
    NAME.test(corpus);
  return isOurs ? { tenant, jobId, queue, kind, revision: Number(revision), object, corpus, intake } : undefined;
}
