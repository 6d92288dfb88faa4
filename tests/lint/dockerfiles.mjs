// Dockerfiles: the validator of dockerfile-utils, and rules of this project.
// Arguments: the files (scripts/check-yaml).
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { validate } from 'dockerfile-utils';

/** What is wrong with one Dockerfile, as lines `file:line: text`. */
export function dockerfileProblems(file, text) {
    const problems = validate(text).map(
        ({ range, message }) => `${file}:${range.start.line + 1}: ${message}`);
    const stages = new Set();
    const bases = new Map();
    text.split('\n').forEach((line, at) => {
        const say = (message) => problems.push(`${file}:${at + 1}: ${message}`);
        const argument = /^ARG\s+(\w+)=(\S+)/.exec(line);
        if (argument) {
            bases.set(argument[1], argument[2]);
        }
        const from = /^FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?/i.exec(line);
        if (from) {
            const name = /^\$\{?(\w+)\}?$/.exec(from[1]);
            const base = name ? bases.get(name[1]) ?? '' : from[1];
            if (base !== 'scratch' && !stages.has(base) && !/@sha256:[0-9a-f]{64}$/.test(base)) {
                say(`base ${from[1]} is not pinned to a digest`);
            }
            if (from[2]) {
                stages.add(from[2]);
            }
        }
        if (/^ADD\s/.test(line)) {
            say('COPY instead of ADD');
        }
        if (/^USER\s+(root|0)\b/.test(line)) {
            say('USER root');
        }
        if (/^(ENV|ARG)\s+\w*(TOKEN|SECRET|PASSWORD)/i.test(line)) {
            say('a secret would stay in the image');
        }
    });
    return problems;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
    const files = process.argv.slice(2);
    const problems = files.flatMap(
        (file) => dockerfileProblems(file, readFileSync(file, 'utf8')));
    problems.forEach((problem) => console.error(problem));
    console.log(`${files.length} Dockerfiles`);
    process.exitCode = problems.length > 0 ? 1 : 0;
}
