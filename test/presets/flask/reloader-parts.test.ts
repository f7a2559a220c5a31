import { execa } from 'execa'
import { describe, expect, test } from 'vitest'
import { RELOADER } from './reloader-rig.js'

/** A server whose one worker, number 1, is played by the test. */
const SERVER = `
from types import SimpleNamespace as Some
from devstack_reloader import decide
from devstack_reloader.desk import Desk
from devstack_reloader.supervisor import Supervisor

class FakeMember:
    number, pid, generation, threads = 1, 11, 1, 1
    stopped = unwanted = is_ready = False
    def __init__(self): self.asked = []
    def send(self, what, **more): self.asked.append((what, more.get("turn")))

class FakeClient:
    def __init__(self): self.told = []
    def send(self, message): self.told.append(message)

member, client, timers, begun = FakeMember(), FakeClient(), [], []
known = decide.Known(files={"/app/a.py"}, templates=["/app/templates"])
server = Some(
    crew=Some(members=lambda: [member], dismiss=lambda one: None), loop=Some(after=lambda _, call: timers.append(call)),
    upkeep=Some(known=known, warming=Some(nursery=None)), nursery=Some(is_warm=True), begin=lambda batch, what: begun.append(what),
    serving=[member], generation=1, state="serving", error=None, load=None, ending=False)
desk = Desk(server)
save = lambda path: desk.want(client, {"id": len(client.told) + 1, "files": [path]})
`

async function printed(script: string): Promise<unknown> {
  const { stdout } = await execa('python3', ['-B', '-c', `import json\n${SERVER}\n${script}`], {
    env: { PYTHONPATH: RELOADER },
  })
  return JSON.parse(stdout)
}

describe('a worker’s answer', () => {
  test('that comes too late for its question is none to the next one', async () => {
    const said = await printed(`
save("/app/templates/page.html")
timers.pop()()
save("/app/tests/test_a.py")
desk.answered(1, {"is": "templates", "turn": 1, "count": 1})
early = len(client.told)
desk.answered(1, {"is": "loaded", "turn": 2, "files": []})
print(json.dumps([member.asked, begun, early, [one["what"] for one in client.told]]))
`)
    expect(said).toEqual([
      [
        ['templates', 1],
        ['loaded', 2],
      ],
      ['app'],
      0,
      ['nothing'],
    ])
  })

  test('is not waited for where it was ended already', async () => {
    const said = await printed(`
other = FakeMember()
other.number, other.unwanted = 2, True
server.crew.members = lambda: [member, other]
save("/app/templates/page.html")
desk.answered(1, {"is": "templates", "turn": 1, "count": 1})
print(json.dumps([other.asked, [one["what"] for one in client.told]]))
`)
    expect(said).toEqual([[], ['templates']])
  })
})

test('what is asked for while a load that nobody asked for began meanwhile is loaded after it', async () => {
  const said = await printed(`
save("/app/templates/page.html")
server.load = Some(importing=True, first=None, failure=None, batch=None)
desk.answered(1, None)
during = list(begun)
server.load = None
desk.next()
print(json.dumps([during, begun]))
`)
  expect(said).toEqual([[], ['app']])
})

test('a worker that was ended before it said that it is ready does not serve', async () => {
  const said = await printed(`
server.serving = []
member.unwanted = True
Supervisor._ready(server, member, {"threads": 1})
print(json.dumps([server.serving, member.asked]))
`)
  expect(said).toEqual([[], []])
})
