import { relative } from 'node:path'
import { initProject, writeInit } from '../../host/init/init.js'
import { TELLING_FILES } from '../../presets/preset.js'
import { detectPreset } from '../../presets/presets.js'
import type { CommandContext } from '../commands.js'
import { print } from '../io.js'

/** `devstack init`: writes a commented devstack.yaml of what is found here; never over one that is there. */
export async function init(
  { io, globals }: CommandContext,
  options: { readonly print?: boolean },
): Promise<number> {
  const plan = await initProject({ folder: globals.cwd, detect: detectPreset, telling: TELLING_FILES })
  if (options.print === true) {
    io.stdout.write(plan.text)
    return 0
  }
  await writeInit(plan)
  print(io, `wrote ${relative(globals.cwd, plan.path)}; devstack up brings it up`)
  return 0
}
