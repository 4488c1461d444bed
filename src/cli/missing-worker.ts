// Missing worker: lines for jobs that wait because no running worker takes them.
import type { Status } from '../app/app.ts';
import { withOperator } from './with-clients.ts';

/** What is missing and the command that adds it; empty if a running worker takes the jobs. */
export function missingWorkerLines({ processes }: Pick<Status, 'processes'>, areUploads: boolean): string[] {
  const workers = processes.filter(({ role }) => role === 'worker');
  if (workers.length === 0) return ['No worker is running. Start one: sealdex worker'];
  if (!areUploads || workers.some(({ takesUploads }) => takesUploads !== false)) return [];
  return [
    'Upload jobs are waiting because no running worker has the package @sealdex/extract.',
    'Install it where the worker runs, then restart the worker: npm install @sealdex/extract',
  ];
}

/** The lines for waiting uploads; empty if the status cannot be read. */
export async function readMissingUploadWorker(): Promise<string[]> {
  let lines: string[] = [];
  try {
    await withOperator(async (operator) => {
      lines = missingWorkerLines(await operator.status(), true);
    });
  } catch {
    return [];
  }
  return lines;
}
