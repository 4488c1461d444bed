// What the demo tells of a dead letter. Decides nothing, and is never given a text of the documents.
import type { Letter } from '../app/app.ts';
import { CODES } from '../runtime/errors.ts';
import type { DemoScreen } from './story.ts';

type Say = Pick<DemoScreen, 'say'>;

export function taken(screen: Say, tenant: string): void {
  screen.say(
    `Last, something that cannot succeed: a document of ${tenant} is queued, and its content is taken out of S3.`,
  );
}

export function listed(screen: Say, tenant: string, letters: readonly Letter[]): void {
  screen.say(`It became a dead letter. sealdex dead list --tenant ${tenant} shows ${letters.length}:`);
  for (const { jobId, code } of letters) screen.say(`  ${jobId}  ${code}: ${CODES[code].means}`);
}

export function replayed(screen: Say, tenant: string, left: number): void {
  screen.say(
    left === 0
      ? `The content is put back and the letter replayed: the document is stored, and ${tenant} has no dead letter left.`
      : `The content is put back and the letter replayed, but ${left} dead letters of ${tenant} are left: this must NOT be.`,
  );
}
