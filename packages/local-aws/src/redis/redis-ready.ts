// Asks a port whether the Redis that answers there is ours and has loaded its data.
import { connect } from 'node:net';

const ANSWER_DEADLINE_MS = 1_000;

/**
 * Whether the process `pid` answers PING on that port. The pid is compared because another test run's Redis may have
 * bound the port first; it would answer as well.
 */
export function isReady(host: string, port: number, pid: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host);
    let answer = '';
    const done = (ready: boolean): void => {
      socket.destroy();
      resolve(ready);
    };
    socket.setTimeout(ANSWER_DEADLINE_MS, () => done(false));
    socket.on('error', () => done(false));
    socket.on('close', () => done(false));
    socket.on('connect', () => socket.write('PING\r\nINFO server\r\n'));
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString();
      const process = /process_id:(\d+)\r\n/.exec(answer);
      if (process) done(answer.startsWith('+PONG') && Number(process[1]) === pid);
      else if (answer.startsWith('-')) done(false);
    });
  });
}
