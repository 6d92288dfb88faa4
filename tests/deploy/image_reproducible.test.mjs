// Two builds of one commit are the same files with the same times in the same layers. The layer of
// Debian's packages is made twice from scratch, because the archive may have moved on since a cached
// one; the compiler's cache stays; configuring, linking and laying out happen anew.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Docker, skipWithoutDocker } from '../support/docker.mjs';
import { buildImage } from '../support/image.mjs';

const skip = skipWithoutDocker();

if (skip) {
    test('reproducible images', { skip }, () => {});
} else {
    let docker;
    before(async () => {
        docker = await Docker.start();
    });
    after(async () => {
        await docker?.stop();
    });

    test('a second build from scratch makes the same layers', async () => {
        const run = Date.now();
        const again = async (target, refresh) => {
            const args = { REFRESH: `${run}-${refresh}`, REBUILD: run };
            const image = await buildImage(docker, {
                target,
                tag: `nave:again-${target}-${refresh}`,
                args: Object.entries(args).flatMap(([name, value]) => [
                    '--build-arg',
                    `${name}=${value}`,
                ]),
            });
            return (await docker.inspect(image)).RootFS.Layers;
        };
        const cached = await docker.inspect(await buildImage(docker));
        const first = await again('runtime', 'first');
        assert.deepEqual(await again('runtime', 'second'), first);
        const binary = -2; // behind it is the empty layer of WORKDIR
        assert.equal(first.at(binary), cached.RootFS.Layers.at(binary));
        assert.deepEqual(await again('minimal', 'second'), await again('minimal', 'first'));
    });
}
