// A network namespace for one test file: interfaces, packet filter rules and ports in it are nobody
// else's, so that a dockerd in it may have its bridge and publish ports and the machine stays as it
// is.
import { spawnSync } from 'node:child_process';

const kMark = 'NAVE_OWN_NETWORK';

// Call it first. Outside, it awaits `prepare` (what needs the real network) and runs the file again
// inside, where it returns at once. The child is told when this process dies.
export async function enterOwnNetwork(prepare) {
    if (process.env[kMark] === '1') {
        return;
    }
    await prepare();
    const script = 'ip link set lo up && exec "$0" "$@"';
    const again = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
    const { status } = spawnSync(
        'unshare',
        ['--net', 'setpriv', '--pdeathsig', 'TERM', 'sh', '-c', script, ...again],
        { stdio: 'inherit', env: { ...process.env, [kMark]: '1' } },
    );
    process.exit(status ?? 1);
}
