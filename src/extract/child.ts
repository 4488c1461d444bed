// Entry of the process that reads files: walls first, then the libraries, so that these never see the world without.
// Started by extractor.ts, with no environment and Node's permissions; the worker itself never imports it.
import { LIFELINE_FD, serve } from './child-main.ts';
import { exitWithParent, installSandbox } from './sandbox.ts';

exitWithParent(LIFELINE_FD);
installSandbox();
const reading = import('./file-record.ts');

serve(async ({ filename, contentType, place, limits }, bytes) => {
  const { fileRecord } = await reading;
  return fileRecord({ bytes, filename, contentType }, place, limits);
});
