"""An app that knows nothing of otel-cost: a graph of a writer and a named agent, and one call outside."""

from langchain.agents import create_agent
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, MessagesState, StateGraph

model = ChatOpenAI(model="gpt-4o", max_retries=0)
graph = StateGraph(MessagesState)
graph.add_node("writer", lambda state: {"messages": [model.invoke(state["messages"])]})
graph.add_node("sub", create_agent(model, [], name="researcher"))
graph.add_edge(START, "writer")
graph.add_edge("writer", "sub")
graph.add_edge("sub", END)
graph.compile().invoke({"messages": [("user", "hi")]}, {"configurable": {"thread_id": "thread-7"}})
model.invoke("by itself")
