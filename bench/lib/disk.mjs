// How long the disk takes to make a write durable. It varies by the hour on shared disks, and what is
// acknowledged after a commit cannot be quicker.
import fs from 'node:fs';
import path from 'node:path';
import { temporaryDirectory } from './peers.mjs';
import { median } from './wrk.mjs';

const kFlushes = 100;

// Milliseconds, median, of appending 4 KiB to a file of the temporary directory and flushing it.
export function flushMilliseconds() {
    const file = fs.openSync(path.join(temporaryDirectory(), 'flush'), 'w');
    const block = Buffer.alloc(4096, 1);
    const times = Array.from({ length: kFlushes }, () => {
        const start = performance.now();
        fs.writeSync(file, block);
        fs.fdatasyncSync(file);
        return performance.now() - start;
    });
    fs.closeSync(file);
    return median(times);
}
