// Clients of a command: opens them, runs the work, and closes them in any case. The modules are loaded here, so that --help and
// usage errors are printed at once and without settings.
import type { createReader, Operator, Producer } from '../app/app.ts';
import { commandLineEnvironment } from '../runtime/config.ts';
import { host } from './host.ts';

type Reader = Awaited<ReturnType<typeof createReader>>;
type Work<T> = (opened: T) => Promise<void>;

/** A command rejects a misspelled variable; a host application only warns. */
const options = () => ({ env: commandLineEnvironment(host().env), unknownVariables: 'reject' }) as const;

export async function withProducer(work: Work<Producer>): Promise<void> {
  const { createProducer } = await import('../app/app.ts');
  await withOpened(await createProducer(undefined, options()), work);
}

export async function withReader(work: Work<Reader>): Promise<void> {
  const { createReader } = await import('../app/app.ts');
  await withOpened(await createReader(undefined, options()), work);
}

export async function withOperator(work: Work<Operator>): Promise<void> {
  const { createOperator } = await import('../app/operator.ts');
  await withOpened(await createOperator(undefined, options()), work);
}

async function withOpened<T extends AsyncDisposable>(opened: T, work: Work<T>): Promise<void> {
  try {
    await work(opened);
  } finally {
    await opened[Symbol.asyncDispose]();
  }
}
