// Entry of the extraction process: installs the sandbox before it loads the libraries. Started by extractor.ts, without an
// environment and with Node's permissions. The worker must not import it.
import { LIFELINE_FD, serve } from './child-main.ts';
import { exitWithParent, installSandbox } from './sandbox.ts';

exitWithParent(LIFELINE_FD);
installSandbox();
const reading = import('./file-record.ts');

serve(async ({ filename, contentType, place, limits }, bytes) => {
  const { fileRecord } = await reading;
  return fileRecord({ bytes, filename, contentType }, place, limits);
});
