/** A few programs and their libraries: no shell, no tar, no perl; a user of its own. */
export const BARE = `FROM IMAGE AS base
RUN mkdir -p /bare/bin /bare/app /bare/etc && cp -L --parents /usr/bin/sleep /usr/bin/cat /usr/bin/id /usr/bin/env /usr/bin/pwd /usr/bin/tee /lib64/ld-linux-x86-64.so.2 /lib/x86_64-linux-gnu/libc.so.6 /lib/x86_64-linux-gnu/libselinux.so.1 /lib/x86_64-linux-gnu/libpcre2-8.so.0 /bare/ && echo old > /bare/app/file && chmod 700 /bare/app && chown -R 1234:2345 /bare/app && printf 'app:x:1234:2345::/app:\\nother:x:77:78::/home/other:\\n' > /bare/etc/passwd && printf 'extra:x:99:other\\n' > /bare/etc/group
FROM scratch
COPY --from=base /bare /
ENV GREETING=hello
WORKDIR /app
USER app
CMD ["/usr/bin/sleep", "infinity"]
`
