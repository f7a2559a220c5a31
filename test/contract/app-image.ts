/** The image of the contract's `app`: its program ends with the code that is written to `/tmp/end`. */
export const appDockerfile = `FROM devstack/base:local
COPY . /app
RUN useradd --uid 1500 worker && chown -R worker /app
USER worker
CMD ["sh", "-c", "ls /app > /tmp/seen; rm -f /tmp/end; while [ ! -e /tmp/end ]; do sleep 0.05; done; echo last words; exit $(cat /tmp/end)"]
`
