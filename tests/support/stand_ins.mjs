// Stand-ins for the published images of PostgreSQL, Redis and Caddy, where no registry can be
// reached: one image of Debian's programs (15, 7.0, 2.6) on our base, like theirs as far as
// compose.postgres.yml relies on it: users, volumes, POSTGRES_* variables, nc, and the file
// capability of caddy.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { ensureBase, kBase } from './image.mjs';
import { temporaryDirectory } from './server.mjs';

const kDockerfile = `FROM ${kBase}
RUN mkdir /etc/postgresql-common \\
    && echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf \\
    && apt-get update \\
    && apt-get install -y --no-install-recommends \\
        postgresql-15 redis-server caddy netcat-openbsd libcap2-bin \\
    && rm -rf /var/lib/apt/lists/* \\
    && setcap cap_net_bind_service=+ep /usr/bin/caddy \\
    && install -d -o postgres -g postgres -m 1777 /var/lib/postgresql/data \\
    && install -d -o postgres -g postgres -m 3777 /run/postgresql \\
    && install -d /data /config
COPY entrypoint /usr/local/bin/entrypoint
ENV PATH=/usr/lib/postgresql/15/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \\
    PGDATA=/var/lib/postgresql/data XDG_DATA_HOME=/data XDG_CONFIG_HOME=/config
ENTRYPOINT ["entrypoint"]
CMD ["postgres"]
`;

const kEntrypoint = `#!/bin/bash
set -e
if [ "$1" = postgres ] && [ ! -s "$PGDATA/PG_VERSION" ]; then
    initdb -D "$PGDATA" --username="$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" \\
        --auth-host=scram-sha-256 --auth-local=trust $POSTGRES_INITDB_ARGS
    echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
    pg_ctl -w -o "-c listen_addresses=''" start
    createdb -U "$POSTGRES_USER" "$POSTGRES_DB"
    pg_ctl -w -m fast stop
fi
if [ "$1" = postgres ]; then set -- "$@" -c 'listen_addresses=*'; fi
exec "$@"
`;

// The variables that make compose.postgres.yml use them.
export async function buildStandIns(docker) {
    await ensureBase(docker);
    const recipe = createHash('sha256').update(kDockerfile).update(kEntrypoint).digest('hex');
    const tag = `nave-stand-ins:${recipe.slice(0, 12)}`;
    if ((await docker.run(['image', 'inspect', tag], { check: false })).code !== 0) {
        const context = temporaryDirectory('nave-stand-ins');
        fs.writeFileSync(path.join(context, 'Dockerfile'), kDockerfile);
        fs.writeFileSync(path.join(context, 'entrypoint'), kEntrypoint, { mode: 0o755 });
        try {
            await docker.run(['build', '--network', 'host', '--tag', tag, context], {
                deadlineMs: 600_000,
            });
        } finally {
            fs.rmSync(context, { recursive: true });
        }
    }
    return { POSTGRES_IMAGE: tag, REDIS_IMAGE: tag, CADDY_IMAGE: tag };
}
