// What the pack uses of ComfyUI's front end. Its own types do not know the events and settings of packs.

declare module '*/scripts/app.js' {
  export const app: {
    graph: ComfyGraph
    rootGraph: ComfyGraph
    canvas: any
    nodeOutputs?: Record<string, Record<string, any>>
    extensionManager: {
      setting: { get(id: string): unknown; set(id: string, value: unknown): Promise<void> }
      command: { execute(id: string): Promise<void> }
      workflow: { activeWorkflow?: { changeTracker?: { captureCanvasState?(): void } } }
      toast: { add(message: { severity: string; summary: string; detail?: string; life?: number }): void }
    }
    loadGraphData(graph: any, clean?: boolean, restoreView?: boolean, name?: string, options?: object): Promise<unknown>
    registerExtension(extension: ComfyExtension): void
  }
}

declare module '*/scripts/api.js' {
  export const api: {
    fetchApi(path: string, options?: RequestInit): Promise<Response>
    getWorkflowTemplates?: () => Promise<Record<string, string[]>>
    apiURL(path: string): string
    addEventListener(name: string, listener: (event: CustomEvent<any>) => void): void
    removeEventListener(name: string, listener: (event: CustomEvent<any>) => void): void
  }
}

interface ComfyGraph {
  id?: string
  extra?: Record<string, unknown>
  nodes: any[]
  links?: any
  setDirtyCanvas(front: boolean, back?: boolean): void
}

interface ComfyExtension {
  name: string
  settings?: {
    id: string
    name: string
    type: string
    defaultValue: unknown
    tooltip?: string
    category?: string[]
    attrs?: Record<string, unknown>
    onChange?(value: any, before?: any): void
  }[]
  commands?: { id: string; label: string; menubarLabel?: string; icon?: string; function(): void }[]
  keybindings?: { commandId: string; combo: { key: string; ctrl?: boolean; alt?: boolean; shift?: boolean } }[]
  menuCommands?: { path: string[]; commands: string[] }[]
  actionBarButtons?: { icon: string; label?: string; tooltip?: string; onClick(): void }[]
  init?(): void
  setup?(): void | Promise<void>
  afterConfigureGraph?(): void
  nodeCreated?(node: any): void
  loadedGraphNode?(node: any): void
}
