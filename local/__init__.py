"""The whole product at home: nothing in here is packaged or deployed."""
