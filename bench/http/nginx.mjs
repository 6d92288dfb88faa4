// nginx with one worker and a fixed answer, in a directory of its own.
import fs from 'node:fs';
import path from 'node:path';

export function nginxArguments(directory, port) {
    const configuration = `
daemon off;
worker_processes 1;
pid ${directory}/nginx.pid;
error_log stderr error;
events { worker_connections 1024; }
http {
    access_log off;
    keepalive_requests 100000000;
    client_body_temp_path ${directory}/body;
    proxy_temp_path ${directory}/proxy;
    fastcgi_temp_path ${directory}/fastcgi;
    uwsgi_temp_path ${directory}/uwsgi;
    scgi_temp_path ${directory}/scgi;
    server {
        listen 127.0.0.1:${port};
        location = /healthz { default_type application/json; return 200 '{"status":"ok"}'; }
    }
}
`;
    const file = path.join(directory, 'nginx.conf');
    fs.writeFileSync(file, configuration);
    return ['-c', file, '-p', directory];
}
