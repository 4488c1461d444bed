// Places of content in intake, with everything that a test does not choose made up.
import { randomBytes } from 'node:crypto';
import { newJobId } from '../../src/jobs/jobs.ts';
import type { IntakePlace } from '../../src/runtime/intake-key.ts';

export const newIntakePlace = (queue: string, choice: Partial<IntakePlace> = {}): IntakePlace => ({
  tenant: 'acme',
  jobId: newJobId(),
  queue,
  kind: 'index',
  revision: 1795461684317284,
  object: randomBytes(32).toString('hex'),
  corpus: 'docs',
  intake: randomBytes(8).toString('hex'),
  ...choice,
});
